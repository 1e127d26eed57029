package admin

import (
	"context"
	"errors"
	"slices"

	"carrier/internal/problem"
	"carrier/internal/store"
)

// MaxChosen is how many pushes can be picked one by one; more are a matter of a filter.
const MaxChosen = 200

// ChosenItem is what became of pushes that were picked one by one to be replayed.
type ChosenItem struct {
	Replayed []uint64
	Refused  []RefusedItem // Those that could not be, oldest first.
}

// RefusedItem is a push on which an act could not be carried out.
type RefusedItem struct {
	Seq uint64
	Why error // A *problem.Problem.
}

// PlanChosen tells what ReplayChosen would do, and does nothing.
func (s *Service) PlanChosen(ctx context.Context, by Actor, seqs []uint64) (PlanItem, error) {
	seqs, err := checkChosen(seqs)
	if err != nil {
		return PlanItem{}, err
	}
	var pushes []store.Push
	for _, seq := range seqs {
		p, err := s.Store.Push(ctx, seq)
		switch {
		case errors.Is(err, store.ErrNotFound): // Its retention ended since the list was read.
		case err != nil:
			return PlanItem{}, storeProblem(err)
		default:
			pushes = append(pushes, p)
		}
	}
	plan, err := s.Replays.DryRunOf(ctx, pushes)
	if err != nil {
		return PlanItem{}, storeProblem(err)
	}
	return planItem(&plan, false, by), nil
}

// ReplayChosen replays pushes that were picked one by one, oldest first: each as Replay does, with its own entry in the
// audit log. One that can't be replayed stops none of the others; what keeps the store from taking any ends it.
func (s *Service) ReplayChosen(ctx context.Context, by Actor, seqs []uint64, reason string) (ChosenItem, error) {
	seqs, err := checkChosen(seqs)
	if err := errors.Join(err, checkReason(reason, false)); err != nil {
		return ChosenItem{}, err
	}
	var done ChosenItem
	for _, seq := range seqs {
		_, err := s.Replay(ctx, by, seq, false, reason)
		p, isProblem := errors.AsType[*problem.Problem](err)
		switch {
		case err == nil:
			done.Replayed = append(done.Replayed, seq)
		case isProblem && (p.Code == problem.ConflictState || p.Code == problem.NotFound):
			done.Refused = append(done.Refused, RefusedItem{seq, err})
		default:
			return done, err
		}
	}
	return done, nil
}

// checkChosen puts numbers in order, each once, and refuses none at all and too many.
func checkChosen(seqs []uint64) ([]uint64, error) {
	seqs = slices.Compact(slices.Sorted(slices.Values(seqs)))
	switch {
	case len(seqs) == 0:
		return nil, invalidField("seq", "required", problem.Text{En: "Choose at least one push.", Zh: "请至少选择一个推送。"})
	case len(seqs) > MaxChosen:
		return nil, invalidField("seq", "length", problem.Textf("At most %d pushes can be chosen one by one; replay by filter instead.",
			"逐个选择最多 %d 个推送；更多请按筛选条件重放。", MaxChosen))
	}
	return seqs, nil
}
