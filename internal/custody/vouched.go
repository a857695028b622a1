package custody

import (
	"bytes"
	"sync"
	"time"

	"github.com/abaton-health/abaton/ledger"
)

// vouchedFor is how long a checkpoint that peers have cosigned is named to who
// signs in, though the ledger has grown since.
const vouchedFor = time.Minute

// vouched is which checkpoint this keeper shows its peers, and which one most
// of them have cosigned: that one goes into a session statement, so that a
// keeper whose own is missing there knows those of others (RULINGS 21).
type vouched struct {
	mu    sync.Mutex
	shown shownNote
	best  shownNote
}

type shownNote struct {
	point  ledger.Checkpoint
	signed []byte
	at     time.Time
}

// show is the checkpoint to have cosigned now: for a second the same one for
// all peers, or each of them would know another tree.
func (v *vouched) show(log *ledger.Log, now time.Time) shownNote {
	v.mu.Lock()
	defer v.mu.Unlock()
	if age := now.Sub(v.shown.at); age < 0 || age >= cosignEvery {
		point, signed := log.Checkpoint()
		v.shown = shownNote{point, signed, now}
	}
	return v.shown
}

// cosigned notes the signatures that one of our checkpoints has by now. An
// older one stays while it has more.
func (v *vouched) cosigned(point ledger.Checkpoint, signed []byte, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if signatures(signed) >= signatures(v.best.signed) || now.Sub(v.best.at) > vouchedFor {
		v.best = shownNote{point, signed, now}
	}
}

func signatures(signed []byte) int { return bytes.Count(signed, []byte("\n— ")) }

// name is the checkpoint for a session statement: of the newest tree unless
// peers know an older one better.
func (v *vouched) name(log *ledger.Log, now time.Time) []byte {
	point, signed := log.Checkpoint()
	v.mu.Lock()
	defer v.mu.Unlock()
	age := now.Sub(v.best.at)
	if v.best.signed == nil || v.best.point == point || age < 0 || age > vouchedFor {
		return signed
	}
	return v.best.signed
}
