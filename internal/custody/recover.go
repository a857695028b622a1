package custody

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// A keeper that lost the end of its ledger, or all of it, goes on under a new
// origin that a change of the keeper set names (PROTOCOL.md#ledger-recover). It
// catches up with three others first, and does not vote where it may have
// voted before.

// ErrStale says that this keeper's keys are of another incarnation than the
// keeper set has, and that it has no ledger of the set's: a copy was restored,
// or the change that names it is not in the set file yet.
var ErrStale = errors.New("this incarnation is not the keeper set's, and there is no ledger to show")

// room is the store of one ledger.
type room struct {
	raw    store.Raw
	prefix string
}

// roomOf is where the ledger of that origin lies: the first one by itself,
// later ones beside it under the hash of their origin.
func roomOf(s *store.Store, origin string, later bool) room {
	if !later {
		return room{raw: s.Raw(ledgerSpace)}
	}
	h := sha256.Sum256([]byte(origin))
	return room{raw: s.Raw(laterSpace), prefix: string(h[:16])}
}

// laterSpace is the keyspace of all ledgers but the first.
const laterSpace = 'L'

func (r room) key(key []byte) []byte { return append([]byte(r.prefix), key...) }

// Get is ledger.Reader.
func (r room) Get(key []byte) ([]byte, error) { return r.raw.Get(r.key(key)) }

// Scan is ledger.Ranger.
func (r room) Scan(lower, upper []byte, yield func(key, value []byte) bool) error {
	return r.raw.Scan(r.key(lower), r.key(upper), func(key, value []byte) bool { return yield(key[len(r.prefix):], value) })
}

// into writes into the room with a change.
func (r room) into(c *store.Change) ledger.Writer { return roomWriter{r, r.raw.Into(c)} }

type roomWriter struct {
	room room
	raw  store.RawWriter
}

// Put is ledger.Writer.
func (w roomWriter) Put(key, value []byte) { w.raw.Put(w.room.key(key), value) }

// openLedger opens this keeper's ledger, or begins it where there is none.
func (c *Core) openLedger(now time.Time) (err error) {
	begun := c.cfg.Set.Begun(c.cfg.Index)
	c.room = roomOf(c.store, c.cfg.Ledger.Origin, begun.At != 0)
	if c.actors.floor, err = readFloor(c.store, c.cfg.Ledger.Origin); err != nil {
		return err
	}
	c.log, err = ledger.Open(c.cfg.Ledger, c.room)
	if errors.Is(err, ledger.ErrAbsent) {
		err = c.begin(now)
	}
	if err != nil {
		return err
	}
	c.recovering = begun.At != 0 && c.log.Size() == 0
	if c.cfg.Stale {
		c.mode = Quarantined
	}
	return nil
}

func (c *Core) begin(now time.Time) error {
	if c.cfg.Stale {
		return ErrStale
	}
	var change store.Change
	log, group, err := ledger.Create(c.cfg.Ledger, c.room, c.room.into(&change), now)
	if err != nil {
		return err
	}
	if err := c.store.Commit(&change); err != nil {
		return fmt.Errorf("begin ledger: %w", err)
	}
	group.Commit()
	c.log = log
	return nil
}

// beginAgain makes the first entry of a ledger that follows a lost one. All
// that the peers know is here by now, so it also marks where in the order of
// arrival this keeper's memory of its votes may have gaps.
func (c *Core) beginAgain(t *tx) {
	last := sha256.Sum256(c.cfg.Set.Begun(c.cfg.Index).Last)
	t.enter(ledger.Entry{Request: last, Op: ledger.OpRecover, Outcome: ledger.Permitted, Actor: c.cfg.Set.ID()})
	f := &floor{Arrived: c.store.FeedHead(), At: t.now.Unix()}
	c.store.PutMeta(&t.change, floorName(c.cfg.Ledger.Origin), wire.Marshal(f))
	c.recovering = false
	c.actors.floor = f
	clear(c.actors.logs) // between groups: all of them are durable
}

// floor says what a keeper that recovered may have forgotten: votes for events
// that reached it before.
type floor struct {
	Arrived uint64 `cbor:"1,keyasint"` // statements known at the recovery
	At      int64  `cbor:"2,keyasint"` // unix seconds
}

func floorName(origin string) string { return "recovered/" + origin }

func readFloor(s *store.Store, origin string) (*floor, error) {
	b, err := s.Meta(floorName(origin))
	if errors.Is(err, store.ErrAbsent) {
		return nil, nil
	}
	f := new(floor)
	if err == nil {
		err = wire.Unmarshal(b, f)
	}
	if err != nil {
		return nil, fmt.Errorf("read recovery: %w", err)
	}
	return f, nil
}

// past reports whether an event of that time cannot have been voted for before
// the recovery: keepers take no event from the future.
func (f *floor) past(unix int64) bool {
	return unix > f.At+int64(abaton.ClockSkewMax/time.Second)
}

// mayVote reports whether this keeper cannot have cast a vote in the slot that
// it has forgotten. After a recovery that is so in logs that began since, and in
// those in which the others have certified an event since, without this keeper:
// nothing that it may have voted for there can count beside that.
func (c *Core) mayVote(l *keyLog, p actor.Place) bool {
	f := c.actors.floor
	if f == nil || p.Seq == 0 || l.moved || f.past(l.born) {
		return true
	}
	held, voted := l.ballot.At(p.Seq)
	return voted && held == p.Hash
}

// witnessed takes this keeper's own vote from a certificate, where it does not
// remember it. A keeper that never recovered has lost part of its memory then,
// less than an entry of its ledger perhaps, and must not go on.
func (c *Core) witnessed(t *tx, l *keyLog, a *actor.Authentic, cert *actor.Certificate) error {
	f := c.actors.floor
	if !cert.VotedBy(c.cfg.Index) {
		l.moved = l.moved || f != nil
		return nil
	}
	p := cert.Place()
	if _, known := l.ballot.At(p.Seq); known {
		return nil
	}
	own := c.cfg.Set.Keeper(c.cfg.Index).Key
	if (f == nil || f.past(a.Event().Time)) && cert.SignedBy(c.cfg.Index, own, c.cfg.Set.ID()) {
		c.mode = Quarantined
		c.find(t, abaton.ReasonQuarantine)
	}
	l.ballot.Restore(p.Seq, p.Hash)
	return c.store.PutVote(&t.change, p.Actor, p.Seq, p.Hash[:])
}

// needed is how many others must have been heard before this keeper serves:
// two, and three after a loss (RULINGS 13).
func (c *Core) needed() int {
	need := peersNeeded
	if c.recovering {
		need++
	}
	return min(need, int(c.cfg.Set.N)-1)
}

// peerCheckpoint is the newest checkpoint of another keeper's ledger that this
// one has cosigned: what a keeper that lost its ledger names as its end.
func (k *Keeper) peerCheckpoint(_ context.Context, path string, _ []byte) ([]byte, error) {
	text := strings.TrimPrefix(path, keeper.RouteWitnessed)
	x, err := strconv.ParseUint(text, 10, 8)
	peer := k.cfg.Set.Keeper(abaton.KeeperIndex(x))
	if err != nil || peer == nil || peer.X == k.cfg.Index || strconv.FormatUint(x, 10) != text {
		return nil, abaton.Refuse(abaton.ReasonNotFound)
	}
	_, signed, known := k.core.witness.Latest(peer.Origin)
	if !known || len(signed) == 0 {
		return nil, abaton.Refuse(abaton.ReasonNotFound)
	}
	return signed, nil
}

// formerVerifiers verify what a keeper cosigned under the entries it had.
func formerVerifiers(entries []actor.Keeper) (vs []note.Verifier, err error) {
	for i := range entries {
		v, err := ledger.NewCosignatureVerifier(entries[i].Origin, entries[i].Key)
		if err != nil {
			return nil, fmt.Errorf("former name of this keeper: %w", err)
		}
		vs = append(vs, v)
	}
	return vs, nil
}
