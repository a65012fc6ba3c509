// Command main is a foreign contender for the layout "single": a plain program on go-zookeeper that creates the
// master znode, waits until it goes, and creates it again. It is built with Debian's
// golang-github-samuel-go-zookeeper-dev, without modules.
//
// Arguments: servers (comma separated), root path, master path, id. It prints "LEADING id" when its create succeeded
// and "WAITING id" when somebody else's znode is there. Like the programs that it stands for, it never learns that it
// lost leadership. "quit" on its standard input, or the end of input, closes the session; "SESSION state" lines tell
// what the library says about the connection.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/samuel/go-zookeeper/zk"
)

const (
	sessionTimeout = 5 * time.Second
	connectTimeout = 3 * time.Second
	retryAfter     = 200 * time.Millisecond
)

// ZookeeperConfig says where the election is held.
type ZookeeperConfig struct {
	Servers    []string
	RootPath   string
	MasterPath string
}

// ElectionManager takes part in one election and tells on IsMaster whether it won.
type ElectionManager struct {
	ID       string
	Config   ZookeeperConfig
	IsMaster chan bool
	conn     *zk.Conn
}

var out sync.Mutex

func say(format string, values ...interface{}) {
	out.Lock()
	defer out.Unlock()
	fmt.Printf(format+"\n", values...)
}

// Connect gives up when no server has accepted the session in time.
func (m *ElectionManager) Connect() error {
	conn, events, err := zk.Connect(m.Config.Servers, sessionTimeout, zk.WithLogInfo(false))
	if err != nil {
		return err
	}
	m.conn = conn
	limit := time.After(connectTimeout)
	for {
		select {
		case event := <-events:
			say("SESSION %s", event.State)
			if event.State == zk.StateHasSession {
				go func() {
					for event := range events {
						say("SESSION %s", event.State)
					}
				}()
				return nil
			}
		case <-limit:
			conn.Close()
			return fmt.Errorf("no session within %s", connectTimeout)
		}
	}
}

// Elect creates the root if it is missing, and then contends for the master znode for ever.
func (m *ElectionManager) Elect() {
	_, err := m.conn.Create(m.Config.RootPath, nil, 0, zk.WorldACL(zk.PermAll))
	if err != nil && err != zk.ErrNodeExists {
		say("ERROR %v", err)
	}
	path := m.Config.RootPath + m.Config.MasterPath
	for {
		_, err := m.conn.Create(path, []byte(m.ID), zk.FlagEphemeral, zk.WorldACL(zk.PermAll))
		if err != nil && err != zk.ErrNodeExists {
			say("ERROR %v", err)
			time.Sleep(retryAfter)
			continue
		}
		m.IsMaster <- err == nil
		m.waitUntilGone(path)
	}
}

func (m *ElectionManager) waitUntilGone(path string) {
	for {
		there, _, changed, err := m.conn.ExistsW(path)
		if err != nil {
			say("ERROR %v", err)
			time.Sleep(retryAfter)
			continue
		}
		if !there {
			return
		}
		if event := <-changed; event.Type == zk.EventNodeDeleted {
			return
		}
	}
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: main SERVERS ROOT MASTER ID")
		os.Exit(2)
	}
	manager := &ElectionManager{
		ID:       os.Args[4],
		Config:   ZookeeperConfig{strings.Split(os.Args[1], ","), os.Args[2], os.Args[3]},
		IsMaster: make(chan bool),
	}
	if err := manager.Connect(); err != nil {
		say("ERROR %v", err)
		os.Exit(1)
	}
	go manager.Elect()
	go func() {
		for master := range manager.IsMaster {
			if master {
				say("LEADING %s", manager.ID)
			} else {
				say("WAITING %s", manager.ID)
			}
		}
	}()
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() != "quit" {
		say("UNKNOWN %s", input.Text())
	}
	manager.conn.Close()
	say("BYE %s", manager.ID)
}
