package console

import "time"

// ageBounds are the limits of the classes in which ages are counted.
var ageBounds = [...]time.Duration{
	time.Second, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour,
}

// ages are how old events were when they came.
type ages struct {
	n       int64
	least   time.Duration // Below zero: the source's clock is ahead by so much at least.
	classes [len(ageBounds) + 1]int64
}

func (a *ages) add(age time.Duration) {
	if a.n == 0 || age < a.least {
		a.least = age
	}
	a.n++
	for i, bound := range ageBounds {
		if age <= bound {
			a.classes[i]++
			return
		}
	}
	a.classes[len(ageBounds)]++
}

func (a *ages) join(b *ages) {
	if b.n > 0 && (a.n == 0 || b.least < a.least) {
		a.least = b.least
	}
	a.n += b.n
	for i := range a.classes {
		a.classes[i] += b.classes[i]
	}
}

// half is within which age half of them were; 0 if none came, and more is true if that is beyond all bounds.
func (a *ages) half() (within time.Duration, more bool) {
	var sum int64
	for i, n := range a.classes {
		if sum += n; a.n > 0 && 2*sum >= a.n {
			if i == len(ageBounds) {
				return ageBounds[i-1], true
			}
			return ageBounds[i], false
		}
	}
	return 0, false
}
