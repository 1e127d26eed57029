package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

const (
	mostNodes = 3
	// queueRate and queueCPU are what queue systems on the same PostgreSQL were measured to do, at best, on two cores:
	// events a second, each taken in and delivered in order, and CPU seconds per 1,000 of them, PostgreSQL's included.
	queueRate = 947
	queueCPU  = 1.3
)

// nodes measures the whole way with one node and more on one PostgreSQL, beside the embedded engine. All of it runs on
// this machine: what more nodes give on machines of their own can't be seen here, only what they cost.
func (b *bench) nodes(ctx context.Context) (err error) {
	db, err := b.openDatabases(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.close()) }()
	var figures []*Figure
	for n := 1; n <= mostNodes; n++ {
		figures = append(figures, &Figure{
			Name: fmt.Sprintf("nodes-%d", n), Unit: "events/s", Aim: atLeastValue(4 * queueRate),
			Title:        fmt.Sprintf("events in (NDJSON of 100) and delivered in order, %s on one PostgreSQL, upstream %v", counted(n), pipeLatency),
			CeilingTitle: "the embedded engine, on one machine without PostgreSQL",
		})
	}
	c := nodesCost{all: make([]Audit, mostNodes)}
	for round := range b.o.Rounds {
		if err := b.nodesRound(ctx, round, db, figures, &c); err != nil {
			return err
		}
	}
	for i, f := range figures {
		a := c.all[i]
		f.note("of %d events %d lost, %d out of order, %d repeated", a.Accepted, a.Lost, a.Disordered, a.Repeated)
	}
	b.report.Figures = append(append(b.report.Figures, figures...), c.figures(db)...)
	return nil
}

func counted(nodes int) string {
	if nodes == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", nodes)
}

// nodesCost is CPU seconds per 1,000 events, of each round.
type nodesCost struct {
	embedded        []float64
	nodes, database [mostNodes][]float64
	all             []Audit
}

// figures are the CPU of nodes and PostgreSQL together, by the number of nodes.
func (c *nodesCost) figures(db *databases) (list []*Figure) {
	for i := range mostNodes {
		f := &Figure{
			Name: fmt.Sprintf("nodes-%d-cpu", i+1), Unit: "CPU s/1,000 events", Aim: atMostValue(queueCPU),
			Title: fmt.Sprintf("CPU of %s and of PostgreSQL, in and delivered", counted(i+1)), CeilingTitle: "the embedded engine",
		}
		if !db.cpuKnown() {
			f.Aim = Aim{}
			f.Title = fmt.Sprintf("CPU of %s, in and delivered; PostgreSQL's is not known (%s)", counted(i+1), db.cpuUnknown())
		}
		for round, nodes := range c.nodes[i] {
			f.add(nodes+c.database[i][round], c.embedded[round])
		}
		f.note("nodes %s, PostgreSQL %s", number(median(c.nodes[i])), number(median(c.database[i])))
		list = append(list, f)
	}
	return list
}

// nodesRound measures all of them once, beginning with another one each time.
func (b *bench) nodesRound(ctx context.Context, round int, db *databases, figures []*Figure, c *nodesCost) error {
	b.say("nodes: round %d of %d", round+1, b.o.Rounds)
	rates := make([]float64, mostNodes+1) // By the number of nodes; 0: the embedded engine.
	for i := range rates {
		n := (i + round) % len(rates)
		if n == 0 {
			s, _, err := b.pipeOnce(ctx)
			if err != nil {
				return err
			}
			rates[0] = s.rate()
			c.embedded = append(c.embedded, perThousand(s.cpu, s.count))
			continue
		}
		s, database, audit, err := b.nodesOnce(ctx, db, n)
		if err != nil {
			return fmt.Errorf("with %s: %w", counted(n), err)
		}
		rates[n] = s.rate()
		c.nodes[n-1] = append(c.nodes[n-1], perThousand(s.cpu, s.count))
		c.database[n-1] = append(c.database[n-1], perThousand(database, s.count))
		c.all[n-1].add(audit)
	}
	for i, f := range figures {
		f.add(rates[i+1], rates[0])
	}
	return nil
}

func perThousand(seconds float64, count uint64) float64 {
	return seconds * 1000 / float64(max(count, 1))
}

// nodesOnce runs the whole way through n nodes on a new database, lets it run dry and compares. database is the CPU
// seconds of PostgreSQL.
func (b *bench) nodesOnce(ctx context.Context, db *databases, n int) (s span, database float64, a Audit, err error) {
	run, err := b.startNodes(ctx, db, n)
	if err != nil {
		return s, 0, a, err
	}
	defer func() { err = errors.Join(err, run.stop()) }()
	l := &load{dial: run.dial(b), roll: run.book.roll, conns: 32, batch: window, book: run.book, lead: pipeLead}
	if s, err = b.during(ctx, run, fmt.Sprintf("nodes-%d", n), run.book.arrived.Load, l.run); err != nil {
		return s, 0, a, err
	}
	if err := run.book.drain(ctx); err != nil {
		return s, 0, a, err
	}
	a = run.book.audit()
	return s, run.databaseCPU(), a, a.err()
}

// nodesRun is several nodes between a load and an upstream, both of which write into one book.
type nodesRun struct {
	parts []*part
	db    *databases
	name  string // Of the database.
	book  *book
	up    *upstream
	cpu   []float64 // PostgreSQL's, each time that usage was asked for.
}

func (b *bench) startNodes(ctx context.Context, db *databases, n int) (run *nodesRun, err error) {
	run = &nodesRun{db: db, book: newBook(newRoll(0))}
	defer func() {
		if err != nil {
			err = errors.Join(err, run.stop())
		}
	}()
	if run.up, err = startUpstream(ctx, anyPort, pipeLatency, run.book.arrive); err != nil {
		return run, err
	}
	if run.name, err = db.create(ctx); err != nil {
		return run, err
	}
	for range n {
		p, err := b.startService(ctx, role{Store: db.url(run.name), Upstream: run.up.url(), Concurrency: pipeConcurrency / n})
		if err != nil {
			return run, err
		}
		run.parts = append(run.parts, p)
	}
	return run, nil
}

// stop ends the nodes, then what they work with.
func (r *nodesRun) stop() (err error) {
	for _, p := range r.parts {
		err = errors.Join(err, p.stop())
	}
	if r.up != nil {
		err = errors.Join(err, r.up.stop())
	}
	if r.name != "" {
		err = errors.Join(err, r.db.drop(r.name))
	}
	return err
}

// dial connects to the nodes in turn, as a load balancer would.
func (r *nodesRun) dial(b *bench) dialer {
	var lines []dialer
	for _, p := range r.parts {
		lines = append(lines, overHTTP(p.Events, b.key, window))
	}
	return inTurn(lines)
}

// usage adds up that of the nodes, and notes PostgreSQL's.
func (r *nodesRun) usage() (sum usage, err error) {
	for _, p := range r.parts {
		u, err := p.usage()
		if err != nil {
			return sum, err
		}
		sum.CPUSeconds += u.CPUSeconds
	}
	r.cpu = append(r.cpu, r.db.cpuSeconds())
	return sum, nil
}

// databaseCPU is what PostgreSQL took between the last two times that usage was asked for.
func (r *nodesRun) databaseCPU() float64 {
	n := len(r.cpu)
	return r.cpu[n-1] - r.cpu[n-2]
}

// profile writes one for each node.
func (r *nodesRun) profile(file string) (err error) {
	for i, p := range r.parts {
		of := file
		if file != "" {
			ext := filepath.Ext(file)
			of = fmt.Sprintf("%s-%c%s", file[:len(file)-len(ext)], 'a'+rune(i), ext)
		}
		err = errors.Join(err, p.profile(of))
	}
	return err
}
