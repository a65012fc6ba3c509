import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.leader.Participant;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryForever;

/**
 * A contender of Curator's LeaderSelector or InterProcessMutex, to stand beside ours in one election (layout
 * {@code lock}), used as Curator's documentation asks: the work stops when the connection is suspended.
 *
 * <p>Arguments: connect string, election path, id, session timeout in milliseconds, {@code selector} or {@code mutex}.
 * It prints {@code LEADING id at=N} when its work begins and {@code LOST id at=N} when it has stopped, before anything
 * is released; N is CLOCK_MONOTONIC in nanoseconds. It obeys lines on its standard input: {@code close} leaves the
 * election, {@code start} joins it again, {@code contenders} prints who is there as the selector sees it, {@code quit}
 * or the end of input ends the program.
 */
public final class LockPeer {
    private static final int CONNECTION_TIMEOUT_MS = 3_000;
    private static final int RETRY_MS = 200;

    private final CuratorFramework client;
    private final String path;
    private final String id;
    private final boolean isSelector;
    private Recipe recipe;

    /** One stay in the election. */
    private interface Recipe {
        void leave() throws Exception;
    }

    private LockPeer(CuratorFramework client, String path, String id, boolean isSelector) {
        this.client = client;
        this.path = path;
        this.id = id;
        this.isSelector = isSelector;
    }

    public static void main(String[] arguments) throws Exception {
        int sessionTimeout = Integer.parseInt(arguments[3]);
        CuratorFramework client = CuratorFrameworkFactory.newClient(
                arguments[0], sessionTimeout, CONNECTION_TIMEOUT_MS, new RetryForever(RETRY_MS));
        client.start();
        LockPeer peer = new LockPeer(client, arguments[1], arguments[2], arguments[4].equals("selector"));
        peer.join();
        peer.obey();
        client.close();
        say("BYE " + arguments[2]);
        System.exit(0);
    }

    private void join() {
        recipe = isSelector ? new Selector() : new Mutex();
    }

    /** LeaderSelector, which interrupts the work itself when the connection is suspended. */
    private final class Selector extends LeaderSelectorListenerAdapter implements Recipe {
        private final LeaderSelector selector = new LeaderSelector(client, path, this);

        private Selector() {
            selector.setId(id);
            selector.autoRequeue();
            selector.start();
        }

        @Override
        public void takeLeadership(CuratorFramework ignored) throws Exception {
            lead();
        }

        @Override
        public void leave() {
            selector.close();
        }

        private String contenders() throws Exception {
            return selector.getParticipants().stream().map(Participant::getId).collect(Collectors.joining(" "));
        }
    }

    /** InterProcessMutex with a thread that is interrupted when the connection is suspended. */
    private final class Mutex implements Recipe {
        private final InterProcessMutex mutex = new InterProcessMutex(client, path);
        private final Thread worker = new Thread(this::contend);
        private volatile boolean leads;
        private volatile boolean leaving;

        private Mutex() {
            client.getConnectionStateListenable().addListener((ignored, state) -> {
                if (leads && (state == ConnectionState.SUSPENDED || state == ConnectionState.LOST)) {
                    worker.interrupt();
                }
            });
            worker.start();
        }

        private void contend() {
            while (!leaving) {
                try {
                    mutex.acquire();
                    leads = true;
                    try {
                        lead();
                    } finally {
                        leads = false;
                        mutex.release();
                    }
                } catch (InterruptedException interrupted) {
                    // By leave(), or by the loss of the connection: then the loop goes on.
                } catch (Exception trouble) {
                    say("ERROR " + trouble);
                }
            }
        }

        @Override
        public void leave() throws InterruptedException {
            leaving = true;
            worker.interrupt();
            worker.join();
        }
    }

    /** The work: waits until it is interrupted. */
    private void lead() throws InterruptedException {
        say("LEADING " + id + " at=" + System.nanoTime());
        try {
            Thread.sleep(Long.MAX_VALUE);
        } finally {
            say("LOST " + id + " at=" + System.nanoTime());
        }
    }

    private void obey() throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            switch (line) {
                case "close" -> leave();
                case "start" -> join();
                case "contenders" -> say("CONTENDERS " + (recipe instanceof Selector s ? s.contenders() : ""));
                case "quit" -> {
                    leave();
                    return;
                }
                default -> say("UNKNOWN " + line);
            }
        }
    }

    private void leave() throws Exception {
        if (recipe != null) {
            recipe.leave();
            recipe = null;
            say("CLOSED " + id);
        }
    }

    private static synchronized void say(String line) {
        System.out.println(line);
        System.out.flush();
    }
}
