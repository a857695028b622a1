package sim

import "time"

// loop is the one thread of a world: what happens, in the order of its time.
// Of two things at one moment the one planned first happens first.
type loop struct {
	now     time.Duration // since dawn
	planned uint64
	done    uint64
	queue   []happening // a heap: the next one first
}

type happening struct {
	at time.Duration
	n  uint64
	do func()
}

func (h happening) before(o happening) bool { return h.at < o.at || h.at == o.at && h.n < o.n }

// after plans do for when d has passed.
func (l *loop) after(d time.Duration, do func()) {
	l.planned++
	l.queue = append(l.queue, happening{at: l.now + max(d, 0), n: l.planned, do: do})
	for i := len(l.queue) - 1; i > 0; {
		up := (i - 1) / 2
		if !l.queue[i].before(l.queue[up]) {
			return
		}
		l.queue[i], l.queue[up] = l.queue[up], l.queue[i]
		i = up
	}
}

// step lets the next thing happen; false when there is none by the end.
func (l *loop) step(end time.Duration) bool {
	if len(l.queue) == 0 || l.queue[0].at > end {
		l.now = max(l.now, end)
		return false
	}
	next := l.queue[0]
	last := len(l.queue) - 1
	l.queue[0] = l.queue[last]
	l.queue[last] = happening{}
	l.queue = l.queue[:last]
	l.sink()
	l.now = next.at
	l.done++
	next.do()
	return true
}

// sink puts the first of the heap in its place.
func (l *loop) sink() {
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(l.queue) && l.queue[child].before(l.queue[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		l.queue[i], l.queue[least] = l.queue[least], l.queue[i]
		i = least
	}
}
