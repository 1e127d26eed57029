package pathpush

// queue is a first-in-first-out list of the lanes of one class that are ready. The lanes are its links, so that one may
// leave from anywhere: because it changed in the store, or belongs to another class by now.
type queue struct {
	first, last *lane
	len         int
}

func (q *queue) push(l *lane) {
	l.prev, l.next = q.last, nil
	if q.last == nil {
		q.first = l
	} else {
		q.last.next = l
	}
	q.last = l
	q.len++
}

func (q *queue) pushFront(l *lane) {
	l.prev, l.next = nil, q.first
	if q.first == nil {
		q.last = l
	} else {
		q.first.prev = l
	}
	q.first = l
	q.len++
}

func (q *queue) remove(l *lane) {
	if l.prev == nil {
		q.first = l.next
	} else {
		l.prev.next = l.next
	}
	if l.next == nil {
		q.last = l.prev
	} else {
		l.next.prev = l.prev
	}
	l.prev, l.next = nil, nil
	q.len--
}
