import java.io.BufferedReader;
import java.io.InputStreamReader;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderLatchListener;
import org.apache.curator.retry.RetryForever;

/**
 * A contender of Curator's LeaderLatch, to stand beside ours in one election (layout {@code latch}).
 *
 * <p>Arguments: connect string, election path, id, session timeout in milliseconds. It prints {@code LEADING id} and
 * {@code LOST id} as Curator tells it, and {@code NODE name} for each znode of its own. It obeys lines on its standard
 * input: {@code close} leaves the election, {@code start} joins it again, {@code quit} or the end of input closes the
 * session and ends the program.
 */
public final class LatchPeer {
    private static final int CONNECTION_TIMEOUT_MS = 3_000;
    private static final int RETRY_MS = 200;
    private static final int NODE_CHECK_MS = 20;

    private final CuratorFramework client;
    private final String path;
    private final String id;
    private volatile LeaderLatch latch;
    private String lastNode;

    private LatchPeer(CuratorFramework client, String path, String id) {
        this.client = client;
        this.path = path;
        this.id = id;
    }

    public static void main(String[] arguments) throws Exception {
        int sessionTimeout = Integer.parseInt(arguments[3]);
        CuratorFramework client = CuratorFrameworkFactory.newClient(
                arguments[0], sessionTimeout, CONNECTION_TIMEOUT_MS, new RetryForever(RETRY_MS));
        client.start();
        LatchPeer peer = new LatchPeer(client, arguments[1], arguments[2]);
        peer.join();
        peer.reportNodes();
        peer.obey();
        client.close();
        say("BYE " + arguments[2]);
    }

    private void join() throws Exception {
        LeaderLatch joined = new LeaderLatch(client, path, id);
        joined.addListener(new LeaderLatchListener() {
            @Override
            public void isLeader() {
                say("LEADING " + id);
            }

            @Override
            public void notLeader() {
                say("LOST " + id);
            }
        });
        joined.start();
        latch = joined;
    }

    /** Curator has no listener for its own znode's name, so a thread looks. */
    private void reportNodes() {
        Thread watcher = new Thread(() -> {
            while (true) {
                LeaderLatch present = latch;
                String node = present == null ? null : present.getOurPath();
                if (node != null && !node.equals(lastNode)) {
                    lastNode = node;
                    say("NODE " + node.substring(node.lastIndexOf('/') + 1));
                }
                try {
                    Thread.sleep(NODE_CHECK_MS);
                } catch (InterruptedException interrupted) {
                    return;
                }
            }
        });
        watcher.setDaemon(true);
        watcher.start();
    }

    private void obey() throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            switch (line) {
                case "close" -> leave();
                case "start" -> join();
                case "quit" -> {
                    leave();
                    return;
                }
                default -> say("UNKNOWN " + line);
            }
        }
    }

    private void leave() throws Exception {
        LeaderLatch present = latch;
        latch = null;
        if (present != null) {
            present.close(LeaderLatch.CloseMode.NOTIFY_LEADER);
            say("CLOSED " + id);
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
