// Command main is a foreign contender for the layout "lock": a program that leads while it holds go-zookeeper's Lock.
// It is built with Debian's golang-github-samuel-go-zookeeper-dev, without modules.
//
// Arguments: servers (comma separated), lock path, id, session timeout in milliseconds. It prints "LEADING id at=N"
// when its work begins and "LOST id at=N" when it has stopped, before anything is released; N is CLOCK_MONOTONIC in
// nanoseconds. Its work stops when the connection is lost, since the library tells of a session's end only after a
// new connection. On its standard input "close" leaves the election, "start" joins it again, "quit" or the end of
// input ends the program.
//
// Each stay has a session of its own: Lock cannot be cancelled, and when it fails it leaves its znode behind, which
// would keep the same session's next Lock waiting for ever.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/samuel/go-zookeeper/zk"
)

const (
	retryAfter     = 200 * time.Millisecond
	lookEvery      = 2 * time.Millisecond
	clockMonotonic = 1
)

var out sync.Mutex

func say(format string, values ...interface{}) {
	out.Lock()
	defer out.Unlock()
	fmt.Printf(format+"\n", values...)
}

// now is the clock that all programs of this machine share; package time keeps it to itself.
func now() int64 {
	var moment syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&moment)), 0)
	return moment.Nano()
}

// contender takes part in one election, one stay after the other.
type contender struct {
	servers []string
	path    string
	id      string
	timeout time.Duration
	leave   chan struct{}
	left    chan struct{}
}

// contend stays until it is told to leave; a stay that fails is followed by another.
func (c *contender) contend() {
	defer close(c.left)
	for {
		if err := c.stay(); err != nil {
			say("ERROR %v", err)
		}
		select {
		case <-c.leave:
			return
		case <-time.After(retryAfter):
		}
	}
}

// stay is one session, with at most one term in it.
func (c *contender) stay() error {
	conn, events, err := zk.Connect(c.servers, c.timeout, zk.WithLogInfo(false))
	if err != nil {
		return err
	}
	defer conn.Close()
	var connected, expired int32
	go func() {
		for event := range events {
			switch event.State {
			case zk.StateHasSession:
				atomic.StoreInt32(&connected, 1)
			case zk.StateExpired:
				atomic.StoreInt32(&expired, 1)
				atomic.StoreInt32(&connected, 0)
			case zk.StateDisconnected:
				atomic.StoreInt32(&connected, 0)
			}
		}
	}()
	lock := zk.NewLock(conn, c.path, zk.WorldACL(zk.PermAll))
	locked := make(chan error, 1)
	go func() { locked <- lock.Lock() }()
	select {
	case err := <-locked:
		if err != nil {
			return err
		}
	case <-c.leave:
		return nil
	}
	say("LEADING %s at=%d", c.id, now())
	for atomic.LoadInt32(&connected) == 1 && atomic.LoadInt32(&expired) == 0 {
		select {
		case <-c.leave:
			say("LOST %s at=%d", c.id, now())
			return lock.Unlock()
		case <-time.After(lookEvery):
		}
	}
	say("LOST %s at=%d", c.id, now())
	return nil
}

func (c *contender) join() {
	c.leave = make(chan struct{})
	c.left = make(chan struct{})
	go c.contend()
}

func (c *contender) quit() {
	if c.leave != nil {
		close(c.leave)
		<-c.left
		c.leave = nil
		say("CLOSED %s", c.id)
	}
}

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: main SERVERS PATH ID TIMEOUT")
		os.Exit(2)
	}
	timeout, err := strconv.Atoi(os.Args[4])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	c := &contender{
		servers: strings.Split(os.Args[1], ","),
		path:    os.Args[2],
		id:      os.Args[3],
		timeout: time.Duration(timeout) * time.Millisecond,
	}
	c.join()
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() != "quit" {
		switch input.Text() {
		case "close":
			c.quit()
		case "start":
			c.join()
		default:
			say("UNKNOWN %s", input.Text())
		}
	}
	c.quit()
	say("BYE %s", c.id)
}
