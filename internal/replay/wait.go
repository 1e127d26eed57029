package replay

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"carrier/internal/durations"
	"carrier/internal/store"
)

// turn waits for the leg's turn with its account and until the account has room for a step. done gives the turn to
// the next.
func (r *Runner) turn(ctx context.Context, deliveryID string) (done func(), err error) {
	turn := r.turnsOf(deliveryID)
	if err := turn.take(ctx); err != nil {
		return nil, err
	}
	for !hasRoom(r.pusher.Load(deliveryID)) {
		if err := durations.Wait(ctx, roomEvery); err != nil {
			turn.release()
			return nil, err
		}
	}
	return turn.release, nil
}

// turnsOf is the lock by which the legs of an account take turns.
func (r *Runner) turnsOf(deliveryID string) lock {
	r.mu.Lock()
	defer r.mu.Unlock()
	turn := r.turns[deliveryID]
	if turn == nil {
		turn = newLock()
		r.turns[deliveryID] = turn
	}
	return turn
}

// hasRoom tells whether an account can take a step.
func hasRoom(l Load) bool { return l.Held == store.WaitNothing && l.Bulk+maxPushes <= maxBulk }

// Wait says why an account's part of a replay does not go on just now.
type Wait struct{ DeliveryID, En, Zh string }

// Waiting tells of each leg of a replay that waits for something what that is. A replay that is not being carried out
// has none.
func (r *Runner) Waiting(id uint64) []Wait {
	r.mu.Lock()
	j := r.jobs[id]
	r.mu.Unlock()
	if j == nil {
		return nil
	}
	var waits []Wait
	for _, l := range j.legs {
		if en, zh := l.waiting(); en != "" {
			waits = append(waits, Wait{DeliveryID: l.account, En: en, Zh: zh})
		}
	}
	return waits
}

// waiting says in English and Chinese what the leg waits for; empty for nothing.
func (l *leg) waiting() (en, zh string) {
	load := l.job.runner.pusher.Load(l.account)
	switch {
	case l.done.Load() || !l.job.rule.configured(l.account):
		return "", ""
	case l.failing.Load():
		return "the store can't take the next step; it is tried again every second",
			"存储暂时无法写入，每秒重试一次"
	case load.Held == store.WaitBreaker:
		return "the account's breaker is open: upstream fails" + because(": ", load.Reason),
			"该账户的熔断器已打开：上游故障" + because("：", cmp.Or(load.ReasonZh, load.Reason))
	case load.Held != store.WaitNothing:
		return "the account is paused" + because(": ", load.Reason), "该账户已暂停" + because("：", cmp.Or(load.ReasonZh, load.Reason))
	case !hasRoom(load):
		return fmt.Sprintf("enough is on its way: %d replayed pushes of the account", load.Bulk),
			fmt.Sprintf("该账户已有 %d 个重放的推送在途，稍后继续", load.Bulk)
	case l.pacing.Load():
		perSecond := strconv.FormatFloat(float64(l.job.pace.limiter.Limit()), 'g', -1, 64)
		return "it keeps to its rate of " + perSecond + " pushes a second", "按设定速率每秒 " + perSecond + " 个推送进行"
	}
	return "", ""
}

// because is a reason after its mark, or nothing.
func because(mark, reason string) string {
	if reason == "" {
		return ""
	}
	return mark + reason
}
