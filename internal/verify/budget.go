package verify

import (
	"math"
	"time"
)

// beijing is where WeChat's days begin.
var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

// budget is how many calls each merchant has left today on this node. It is one goroutine's.
type budget struct {
	perDay func() int
	day    string
	used   map[string]int
}

func newBudget(perDay func() int) *budget { return &budget{perDay: perDay, used: map[string]int{}} }

// take uses one of a merchant's calls; false if there is none left today.
func (b *budget) take(merchant string, now time.Time) bool {
	if day := now.In(beijing).Format(time.DateOnly); day != b.day {
		b.day = day
		clear(b.used)
	}
	if b.used[merchant] >= b.perDay() {
		return false
	}
	b.used[merchant]++
	return true
}

// end uses up all that a merchant has left today: upstream says that its own limit is reached.
func (b *budget) end(merchant string) { b.used[merchant] = math.MaxInt32 }

// giveBack takes back one that was taken, and not made.
func (b *budget) giveBack(merchant string) { b.used[merchant] = max(0, b.used[merchant]-1) }
