package admin

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"carrier/internal/problem"
	"carrier/internal/state"
	"carrier/internal/store"
)

// How many of a waybill number's last characters can be looked for: fewer find too much, and more are typed no faster
// than all of them.
const (
	MinFindChars = 4
	MaxFindChars = 12
)

// maxFound is how many waybills one look finds.
const maxFound = 50

// Search says which waybills are looked for.
type Search struct {
	Text   string // A waybill's number, or its last characters, in either case.
	Before uint64 // Only among events with a smaller number; 0: from the newest.
}

var findFilters = []filter[Search]{
	{"q", func(q *Search, value string, _ time.Time) bool {
		q.Text = strings.TrimSpace(value)
		return state.IsWaybillID(q.Text)
	}, problem.Textf("a waybill number, or the last %d to %d characters of one", "运单号，或其末尾 %d 到 %d 位", MinFindChars, MaxFindChars)},
	{"cursor", func(q *Search, value string, _ time.Time) bool { return readCursor("find", &q.Before, value) },
		problem.Text{En: "the cursor of an earlier look", Zh: "上一次查找返回的 cursor"}},
}

// FindQuery reads which waybills to look for.
func FindQuery(values url.Values, now time.Time) (Search, error) {
	return parse(values, findFilters, Search{}, now)
}

// FoundItem is a waybill that was found.
type FoundItem struct {
	DeliveryID string
	WaybillID  string
	Stage      state.Stage
	StageName  Text
	TokenSet   bool
	LastAt     *time.Time // When its newest event came; nil if WeChat alone told of it.
}

// FoundList is what a look found, and how far it went. Looked is zero if nothing had to be looked through, as the number
// was a whole one.
type FoundList struct {
	List[FoundItem]
	Looked Looked
	Short  bool // The text is too short, or too long, to be the end of a number.
}

// Find finds waybills by their number, in every account that there is. If there is none, it looks for numbers that end
// in the text, among the newest events.
func (s *Service) Find(ctx context.Context, q Search) (FoundList, error) {
	found := FoundList{List: List[FoundItem]{Items: []FoundItem{}}}
	if q.Before == 0 {
		if err := s.findWhole(ctx, q.Text, &found); err != nil || len(found.Items) > 0 {
			return found, err
		}
	}
	if n := utf8.RuneCountInString(q.Text); n < MinFindChars || n > MaxFindChars {
		found.Short = true
		return found, nil
	}
	return found, s.findEnd(ctx, q, &found)
}

// findWhole finds a whole number.
func (s *Service) findWhole(ctx context.Context, number string, found *FoundList) error {
	for _, account := range s.everyAccount() {
		err := s.found(ctx, state.Waybill{DeliveryID: account, WaybillID: number}, found)
		if err != nil && !absent(err) {
			return storeProblem(err)
		}
	}
	return nil
}

// everyAccount lists the accounts that are configured, and those that have pushes from before.
func (s *Service) everyAccount() []string {
	all := slices.Clone(s.Accounts)
	for id := range s.Store.Stats().Pushes {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	slices.Sort(all)
	return all
}

// findEnd looks for numbers that end in the text.
func (s *Service) findEnd(ctx context.Context, q Search, found *FoundList) error {
	end := strings.ToLower(q.Text)
	known := map[state.Waybill]bool{}
	looked, next, err := s.look(ctx, store.Query{Before: q.Before, Limit: store.MaxLimit}, func(e *store.Event) (bool, error) {
		w := e.Event.Waybill()
		if known[w] || !strings.HasSuffix(strings.ToLower(w.WaybillID), end) {
			return false, nil
		}
		known[w] = true
		if err := s.found(ctx, w, found); err != nil && !absent(err) {
			return false, storeProblem(err)
		}
		return len(found.Items) == maxFound, nil
	})
	found.Looked, found.NextCursor = looked, cursor("find", next)
	return err
}

// found adds a waybill to a list.
func (s *Service) found(ctx context.Context, w state.Waybill, to *FoundList) error {
	story, err := s.Store.Waybill(ctx, w)
	if err != nil {
		return err
	}
	item := FoundItem{
		DeliveryID: w.DeliveryID, WaybillID: w.WaybillID, Stage: story.Stage, StageName: stageText(story.Stage), TokenSet: story.TokenSet,
	}
	for i := range story.Timeline {
		if at := story.Timeline[i].Event.ReceivedAt; item.LastAt == nil || at.After(*item.LastAt) {
			item.LastAt = instant(at)
		}
	}
	to.Items = append(to.Items, item)
	return nil
}
