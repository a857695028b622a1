package sim

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
)

// five are the numbers of the set.
var five = quorum.Params{N: keepers, K: 3, T: 3, W: 4, F: 1}

// Result is what became of one world.
type Result struct {
	Plan      Plan
	Violation *Violation // nil when every promise was kept
	Events    uint64
	Trace     uint64 // hash of everything that happened, in order
	Virtual   time.Duration
	Struck    [faultKinds]int
	Done      Counts
}

// Counts is how much of the protocol a world has seen.
type Counts struct {
	Acked, Opened, Refused, Listed, InForce, Merged, Erased, Histories, Releases, Quarantines, Relocked, Healed int
}

// Run lives one world to its end. tell gets a line for everything noted, if
// the plan wants it.
func Run(pool *Pool, p Plan, tell io.Writer) Result {
	w := newWorld(pool, p, tell)
	w.live()
	w.result.Events, w.result.Trace, w.result.Virtual = w.done, w.trace.Sum64(), w.now
	return w.result
}

// world is five keepers, the people around them, and what happens to them.
type world struct {
	loop
	plan     Plan
	pool     *Pool
	rng      *rand.Rand
	keepers  [keepers + 1]*keeper
	cut      [places][places]int         // how many partitions lie between two
	calm     bool                        // the faults have stopped
	events   map[string]*actor.Authentic // by their bytes, read once
	inputs   map[string]custody.Input    // statements by their bytes, read once
	receipts [batchesMax]map[string]abaton.KeeperIndex
	writer   *writer
	readers  []*reader
	devices  []*device
	locker   *locker
	checker  *checker
	result   Result
	trace    hash.Hash64
	tell     io.Writer
	line     [32]byte
}

// place is where a message comes from or goes to: keepers first.
type place int

const (
	atWriter place = keepers + 1 + iota
	atReader
	_
	atDevice
	_
	atLocker
	places
)

func newWorld(pool *Pool, p Plan, tell io.Writer) *world {
	w := &world{
		plan: p, pool: pool, rng: rand.New(rand.NewPCG(p.Seed, 0x776f726c64)), trace: fnv.New64a(), tell: tell,
		events: make(map[string]*actor.Authentic), inputs: make(map[string]custody.Input), result: Result{Plan: p},
	}
	w.checker = newChecker(w)
	for x := abaton.KeeperIndex(1); x <= keepers; x++ {
		w.keepers[x] = newKeeper(w, x)
	}
	w.writer = &writer{w: w}
	w.locker = &locker{w: w}
	for i := range p.Readers {
		w.readers = append(w.readers, newReader(w, i))
	}
	for i := range p.Devices {
		w.devices = append(w.devices, newDevice(w, i))
	}
	return w
}

// live runs the troubled part, heals everything and waits for what is pending.
func (w *world) live() {
	for x := abaton.KeeperIndex(1); x <= keepers; x++ {
		w.keepers[x].start()
	}
	w.writer.plan()
	w.locker.plan()
	for _, r := range w.readers {
		r.plan()
	}
	for _, d := range w.devices {
		d.plan()
	}
	w.trouble()
	w.until(w.plan.Life, nil)
	if w.plan.Over != "" {
		return
	}
	w.heal()
	if !w.until(w.plan.Life+patience, w.idle) {
		w.fail("liveness", "after all faults had stopped, %s within %v", w.pending(), patience)
	}
	w.until(w.now+settling, nil)
	w.lastLook()
	w.until(w.now+settling, nil)
	w.audit()
}

const (
	// patience is how long everything pending may take once the faults have
	// stopped: a few of the longest pauses.
	patience = 5 * time.Minute
	// settling is what feeds need to bring every keeper level.
	settling = feedEvery + peerTimeout
)

// until lives to the given time, or until the world is as wanted; false when
// the time came first. A broken promise ends everything.
func (w *world) until(end time.Duration, wanted func() bool) bool {
	for w.result.Violation == nil {
		if wanted != nil && wanted() {
			return true
		}
		if !w.step(end) {
			return wanted == nil
		}
	}
	return true
}

func (w *world) idle() bool {
	if !w.writer.idle() || !w.locker.idle() {
		return false
	}
	for _, r := range w.readers {
		if !r.idle() {
			return false
		}
	}
	for _, d := range w.devices {
		if !d.idle() {
			return false
		}
	}
	return true
}

func (w *world) pending() string {
	switch {
	case !w.writer.idle():
		return fmt.Sprintf("a write was not acknowledged (%s)", w.writer)
	case !w.locker.idle():
		return "a re-lock did not end"
	case len(w.devices) > 0 && !w.devices[0].idle():
		return "an event was not in force"
	}
	return "a reader had no answer"
}

func (w *world) clock() time.Time { return dawn.Add(w.now) }

// chance is true with probability p.
func (w *world) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// between is a random time from least to most.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)+1))
}

// note adds a fact to the trace. Facts are small numbers, never bytes that
// depend on a key, so that a seed has the same trace in every process.
func (w *world) note(what string, x place, a, b int) {
	line := binary.BigEndian.AppendUint64(w.line[:0], uint64(w.now))
	line = append(line, byte(x))
	line = binary.BigEndian.AppendUint32(line, uint32(a))
	line = binary.BigEndian.AppendUint32(line, uint32(b))
	w.trace.Write(line)
	io.WriteString(w.trace, what)
	if w.tell != nil {
		fmt.Fprintf(w.tell, "%9.3fs %-9s %s %d %d\n", w.now.Seconds(), x, what, a, b)
	}
}

func (x place) String() string {
	switch {
	case x == 0:
		return "world"
	case x < atWriter:
		return fmt.Sprintf("keeper %d", int(x))
	case x == atWriter:
		return "writer"
	case x == atLocker:
		return "locker"
	case x < atDevice:
		return fmt.Sprintf("reader %d", int(x-atReader)+1)
	}
	return fmt.Sprintf("device %d", int(x-atDevice)+1)
}

// fail ends the world with a broken promise; only the first counts.
func (w *world) fail(invariant, format string, args ...any) {
	if w.plan.Over != "" && w.plan.Over != invariant {
		return
	}
	if w.result.Violation == nil {
		w.result.Violation = &Violation{Invariant: invariant, At: w.now, Text: fmt.Sprintf(format, args...), Command: w.plan.command()}
		w.note("broken: "+invariant, 0, 0, 0)
	}
}
