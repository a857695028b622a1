package sim

import (
	"errors"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// keeper is one keeper of a world: the real Core, store and ledger behind a
// shell that only moves messages.
type keeper struct {
	w             *world
	x             abaton.KeeperIndex
	records, keys *store.Memory
	store         *store.Store
	core          *custody.Core
	answers       *custody.Answers
	life          int // counts starts; what was under way in an earlier life is lost
	up, busy      bool
	skew, slow    time.Duration
	fault         Fault // sane, or how it spends the budget
	backup        *image
	sessions      map[abaton.SessionID]bool
	queue         []job
	heard         hearing
	kept          keptWord
}

// job is one message on its way through Core.
type job struct {
	session *session.Session // to be admitted first, if it is not yet
	inputs  []custody.Input
	answer  func([]custody.Output)
}

func newKeeper(w *world, x abaton.KeeperIndex) *keeper {
	k := &keeper{w: w, x: x, records: store.NewMemory(), keys: store.NewMemory()}
	if p := w.plan.Bad[x]; p == Byzantine {
		k.fault = Byzantine
	}
	k.records.Unsynced = w.plan.Mutant.lazy()
	k.records.Restore(w.pool.first[x].records)
	k.keys.Restore(w.pool.first[x].keys)
	return k
}

// honest reports whether promises are asked of this keeper.
func (k *keeper) honest() bool { return k.fault == sane }

func (k *keeper) place() place        { return place(k.x) }
func (k *keeper) clock() time.Time    { return k.w.clock().Add(k.skew) }
func (k *keeper) mode() custody.Mode  { return k.core.Mode() }
func (k *keeper) ledger() *ledger.Log { return k.answers.Ledger() }
func (k *keeper) lies(what Lie) bool {
	return k.fault == Byzantine && k.w.plan.Lies&what != 0 && k.w.rng.IntN(4) != 0
}
func (k *keeper) mutates(m Mutant) bool { return k.w.plan.Mutant == m }

// start opens store and ledger as they lie on the disk.
func (k *keeper) start() {
	var err error
	if k.store, err = store.New(k.w.plan.Mutant.engine(k.records), k.keys); err != nil {
		k.w.fail("I11", "keeper %d does not open its store: %v", k.x, err)
		return
	}
	k.core, err = custody.NewCore(coreConfig(k.w.pool.set, k.w.pool.evidence, k.x, k.w.pool.org.id), k.store, k.clock())
	if err != nil {
		k.w.fail("I11", "keeper %d does not start: %v", k.x, err)
		return
	}
	k.answers = k.core.Answers()
	k.life++
	k.up, k.busy, k.queue = true, false, nil
	k.sessions = make(map[abaton.SessionID]bool)
	k.heard = hearing{}
	if k.life == 1 { // that morning all have read
		for y := range k.heard.at {
			k.heard.at[y] = k.w.pool.feed
		}
	}
	k.records.Sync()
	k.w.note("starts", k.place(), int(k.ledger().Size()), k.life)
	k.w.checker.restarted(k)
	k.converse()
}

// crash cuts the power: what was not durable is gone, and all that was under
// way.
func (k *keeper) crash() {
	k.w.note("crashes", k.place(), len(k.queue), 0)
	k.up = false
	k.life++
	k.records, k.keys = k.records.Crash(), k.keys.Crash()
}

// again runs do after d, if the keeper lives on until then.
func (k *keeper) again(d time.Duration, do func()) {
	life := k.life
	k.w.after(d, func() {
		if k.up && k.life == life {
			do()
		}
	})
}

// submit puts a message in line. What waits together is decided together and
// made durable by one fsync.
func (k *keeper) submit(j job) {
	k.queue = append(k.queue, j)
	if k.busy {
		return
	}
	k.busy = true
	k.again(k.slow+k.w.between(100*time.Microsecond, 2*time.Millisecond), k.work)
}

func (k *keeper) work() {
	jobs := k.queue
	k.busy, k.queue = false, nil
	now := k.clock()
	var inputs []custody.Input
	live := jobs[:0]
	asks := true
	for _, j := range jobs {
		if !k.admit(now, j) {
			continue
		}
		live, inputs = append(live, j), append(inputs, j.inputs...)
		asks = asks && j.session != nil
	}
	k.mutateBefore(now)
	out := k.core.Step(now, inputs)
	k.mutateAfter(asks)
	for _, j := range live {
		if j.answer != nil && k.w.result.Violation == nil {
			j.answer(out[:len(j.inputs)])
		}
		out = out[len(j.inputs):]
	}
	k.w.checker.stepped(k)
}

// admit begins the session of a request unless this life of the keeper has
// begun it already.
func (k *keeper) admit(now time.Time, j job) bool {
	if j.session == nil || k.sessions[j.session.ID()] {
		return true
	}
	out := k.core.Step(now, []custody.Input{custody.Admit{Session: j.session}})
	if out[0].Err == nil {
		k.sessions[j.session.ID()] = true
		return true
	}
	j.answer(out)
	return false
}

var errDisk = errors.New("no space left on device")

// fillDisk lets the next write fail; the keeper stops for good, and the
// operator makes room and starts it again.
func (k *keeper) fillDisk() {
	k.w.note("disk full", k.place(), 0, 0)
	k.records.Fail(errDisk)
}

// reasonOf is why an input was refused, empty when it was not.
func reasonOf(out custody.Output) abaton.Reason {
	if out.Err == nil {
		return ""
	}
	if e, ok := errors.AsType[*abaton.RefusedError](out.Err); ok {
		return e.Reason
	}
	return abaton.ReasonMalformed
}
