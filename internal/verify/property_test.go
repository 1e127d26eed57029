package verify

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"carrier/internal/state"
	"carrier/internal/store"
	"carrier/internal/wechat"
)

// TestPlantedDifferences: what upstream drops, shows twice, shows with another text or at another place, invents, or has
// of its own is found, each where it was planted, and nothing else is.
func TestPlantedDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := plant(t)
		got := Compare(p.pushes, p.upstream, now.Add(-defaultDelay))
		for _, k := range []Kind{Missing, Pending, Changed, Moved} {
			if seqs := got.Seqs(k); !slices.Equal(seqs, p.seqs[k]) {
				t.Errorf("%s: found %v, planted %v", k, seqs, p.seqs[k])
			}
		}
		if got.Count(Extra) != p.extra || got.Count(Own) != p.own {
			t.Errorf("found %d extra and %d own, planted %d and %d", got.Count(Extra), got.Count(Own), p.extra, p.own)
		}
		planted := len(p.seqs[Missing]) + len(p.seqs[Changed]) + len(p.seqs[Moved]) + p.extra
		if got.Same() != (planted == 0) {
			t.Errorf("Same is %v with %d differences", got.Same(), planted)
		}
		eachOnce(t, &got, p)
	})
}

// eachOnce: every push and every node upstream has one line.
func eachOnce(t *rapid.T, r *Report, p *planted) {
	var pushes []uint64
	nodes := map[wechat.PathItem]int{}
	for _, l := range r.Lines {
		if l.Seq != 0 {
			pushes = append(pushes, l.Seq)
		}
		if l.Upstream != nil {
			nodes[*l.Upstream]++
		}
	}
	for _, n := range p.upstream {
		nodes[n]--
	}
	for n, left := range nodes {
		if left != 0 {
			t.Errorf("%+v has %d lines too many", n, left)
		}
	}
	if len(pushes) != len(p.pushes) || !slices.IsSorted(pushes) {
		t.Errorf("of %d pushes there are lines for %v", len(p.pushes), pushes)
	}
}

// planted is a trace of pushes as upstream shows it, and what is wrong with it.
type planted struct {
	pushes   []store.Push
	upstream []wechat.PathItem
	seqs     map[Kind][]uint64
	extra    int
	own      int
	whole    []uint64 // Shown as they are, once.
}

// stride is between the times of two pushes; what upstream adds lies between.
const stride = 10

func plant(t *rapid.T) *planted {
	p := &planted{seqs: map[Kind][]uint64{}}
	for i := range rapid.IntRange(0, 12).Draw(t, "pushes") {
		p.add(t, uint64(i+1))
	}
	if rapid.Bool().Draw(t, "one is moved") {
		p.move(t)
	}
	p.pushes = rapid.Permutation(p.pushes).Draw(t, "as they are read")
	return p
}

func (p *planted) add(t *rapid.T, seq uint64) {
	kind := rapid.SampledFrom(state.ActionTypes[:]).Draw(t, "type")
	one := push(seq, stride*int64(seq), kind, fmt.Sprintf("scan %d", seq))
	at := node(one.Event.Time, kind, one.Event.Msg)
	between := at.ActionTime + 1
	switch rapid.SampledFrom([]string{"same", "same", "same", "missing", "pending", "changed", "twice", "invented", "own"}).Draw(t, "fate") {
	case "missing":
		p.seqs[Missing] = append(p.seqs[Missing], seq)
	case "pending":
		one.DoneAt = now.Add(-defaultDelay / 2)
		p.seqs[Pending] = append(p.seqs[Pending], seq)
	case "changed":
		at.ActionMsg += " (as upstream has it)"
		p.seqs[Changed] = append(p.seqs[Changed], seq)
		p.upstream = append(p.upstream, at)
	case "twice":
		p.upstream = append(p.upstream, at, at)
		p.extra++
	case "invented":
		p.upstream = append(p.upstream, node(between, kind, "invented"), at)
		p.extra++
	case "own":
		p.upstream = append(p.upstream, at, node(between, 300001, "WeChat's own"))
		p.own++
	default:
		p.upstream = append(p.upstream, at)
		p.whole = append(p.whole, seq)
	}
	p.pushes = append(p.pushes, one)
}

// move takes a push's node to another place, past two others at least: past one, nobody could tell which was moved.
func (p *planted) move(t *rapid.T) {
	if len(p.whole) == 0 {
		return
	}
	seq := rapid.SampledFrom(p.whole).Draw(t, "moved")
	from := slices.IndexFunc(p.upstream, func(n wechat.PathItem) bool { return n.ActionTime == stride*int64(seq) })
	moved := slices.Delete(slices.Clone(p.upstream), from, from+1)
	moved = slices.Insert(moved, rapid.IntRange(0, len(moved)).Draw(t, "to"), p.upstream[from])
	was, is := slices.Index(shownPushes(p.upstream), seq), slices.Index(shownPushes(moved), seq)
	if max(was-is, is-was) > 1 {
		p.upstream = moved
		p.seqs[Moved] = []uint64{seq}
	}
}

// shownPushes lists the pushes that upstream shows, in its order, each where it is first.
func shownPushes(upstream []wechat.PathItem) (seqs []uint64) {
	for _, n := range upstream {
		if seq := uint64(n.ActionTime / stride); n.ActionTime%stride == 0 && !slices.Contains(seqs, seq) {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}
