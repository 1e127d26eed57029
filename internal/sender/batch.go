package sender

import "time"

// Limits of a batch. The service takes 1,000 events and, unless set otherwise, 1 MiB.
const (
	MaxBatch     = 1000
	maxBodyBytes = 900 << 10
)

// entry is an event in a batch.
type entry struct {
	line, next  int
	size        int // Of its line in the body, with the line's end.
	bytes       int64
	id, waybill string
}

// batch is some events of one lane, in their order, as the body that carries them.
type batch struct {
	body    []byte
	entries []entry
	began   time.Time // When the first event came.
}

// add takes one more event in.
func (b *batch) add(item *Item) {
	if len(b.entries) == 0 {
		b.began = time.Now()
	}
	b.body = append(append(b.body, item.Body...), '\n')
	b.entries = append(b.entries, entry{
		line: item.Line, next: item.Next, size: len(item.Body) + 1, bytes: item.Bytes, id: item.ID, waybill: item.Waybill,
	})
}

// fits tells whether one more event still fits in.
func (b *batch) fits(item *Item, most int) bool {
	return len(b.entries) < most && len(b.body)+len(item.Body)+1 <= maxBodyBytes
}

// split cuts off as many events as fit into a body of limit bytes, but at least one.
func (b *batch) split(limit int) (head, rest batch) {
	n, size := 0, 0
	for n < len(b.entries) && (n == 0 || size+b.entries[n].size <= limit) {
		size += b.entries[n].size
		n++
	}
	return batch{body: b.body[:size], entries: b.entries[:n]}, batch{body: b.body[size:], entries: b.entries[n:]}
}
