//go:build unix

// Windows has no signal that stops a process and lets it go on.

package main

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"carrier/internal/app/apptest"
	"carrier/internal/sandbox"
	"carrier/internal/store/postgres/pgtest"
)

// cluster is several `carrier serve` on one database.
type cluster struct {
	*testing.T
	settings *apptest.Settings
	file     string

	mu    sync.Mutex
	nodes []*clusterNode
	turn  atomic.Int64
}

type clusterNode struct {
	*process
	client *apptest.Client
}

func startCluster(t *testing.T, settings *apptest.Settings, nodes int) *cluster {
	t.Helper()
	c := &cluster{T: t, settings: settings, file: settings.File(t)}
	for range nodes {
		c.nodes = append(c.nodes, c.start())
	}
	return c
}

func (c *cluster) start() *clusterNode {
	c.Helper()
	p, client := serveCarrier(c, c.settings, c.file)
	return &clusterNode{p, client}
}

// client gives the nodes in turn.
func (c *cluster) client() *apptest.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[int(c.turn.Add(1))%len(c.nodes)].client
}

// without has nobody ask a node.
func (c *cluster) without(i int) *clusterNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.nodes[i]
	c.nodes = slices.Delete(c.nodes, i, i+1)
	return n
}

// with lets a node be asked.
func (c *cluster) with(n *clusterNode) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = append(c.nodes, n)
}

// testLease is short, so that a test sees several takeovers.
const testLease = 3 * time.Second

// TestNodesComeAndGo lets three nodes share a database while one after the other is killed, stopped in order, or stands
// still for longer than its lease, and compares what was promised with what happened.
func TestNodesComeAndGo(t *testing.T) {
	db := pgtest.Start(t)
	seed := rand.Uint64N(1 << 32)
	t.Logf("seed %d", seed)
	up := apptest.NewUpstream(t, sandbox.Options{Seed: seed | 1})
	up.Faulty(t, restless)
	settings := apptest.NewSettings(t, apptest.Account{DeliveryID: "SF", BaseURL: up.URL, Timeout: pushTimeout, Concurrency: pushesAtOnce})
	settings.StoreURL, settings.Lease = db.URL(), testLease
	c := startCluster(t, settings, 3)
	l := &load{up: up, slept: &standstill{most: pushesAtOnce}}
	l.start(t, seed, c.client, 300)

	var outages []apptest.Outage
	for i, trouble := range []struct {
		name string
		make func(*clusterNode) *clusterNode // It returns the node that comes back.
	}{
		{"killed", func(n *clusterNode) *clusterNode {
			n.kill()
			return c.start()
		}},
		{"stopped in order", func(n *clusterNode) *clusterNode {
			if status, took := n.terminate(t); status != 0 || took > 30*time.Second {
				t.Errorf("a node ended with status %d after %v", status, took)
			}
			return c.start()
		}},
		{"stood still", func(n *clusterNode) *clusterNode {
			if err := n.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			time.Sleep(testLease + testLease/2) // Another process must see real time pass.
			l.slept.resumed = time.Now()
			if err := n.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			return n
		}},
	} {
		before := l.Acked()
		progress(t, l, before+300)
		n := c.without(i % 3)
		begun := time.Now()
		n = trouble.make(n)
		// What a node had in flight may be sent again until another has taken over.
		outages = append(outages, apptest.Outage{Killed: begun, Up: time.Now().Add(testLease + time.Second)})
		t.Logf("a node %s: %d acknowledged", trouble.name, l.Acked()-before)
		c.with(n)
	}
	progress(t, l, l.Acked()+300)
	l.client.Store(c.nodes[0].client)
	run := l.finish(t, outages)
	stats := up.Stats()
	t.Logf("%d events; %d pushes arrived, %d of them twice", len(run.Sent), stats.Applied, stats.Repeats)
	checkStore(t, c.file, len(run.Stored))
}
