package sim

import (
	"slices"

	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/store"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Lie is a set of ways in which a Byzantine keeper lies, each now and then.
type Lie uint32

// The lies. What a keeper cannot do is make another's mark.
const (
	LieReceipt Lie = 1 << iota // acknowledges without storing
	LieList                    // serves an old listing: newer batches are hidden
	LieSilent                  // withholds answers
	LieRefuse                  // refuses what it should give
	LiePiece                   // falsifies fragments and shares
	LieVote                    // votes for everything, twice in one slot
	LieTaken                   // says that another event has the slot
	LieHistory                 // hides its last disclosures
	LieRelease                 // releases without grant and without ledger
	LieFeed                    // hides events from its peers
	LieForge                   // shows its peers grants with its own vote for a certificate
	LieAck                     // acknowledges certificates without storing
	LieBare                    // withholds the certificates of a key log
	LieInvent                  // tells events of a key log that a stranger signed
)

// falseReceipt is a valid receipt for what was never stored.
func (k *keeper) falseReceipt(b *batch) []byte {
	k.w.note("lies: receipt", k.place(), b.id, 0)
	return receipt(k.x, receiptBody(k.x, b, k.clock()))
}

// released is what a keeper that asks nobody gives away.
func (k *keeper) released(asked *session.Asked) custody.Output {
	out := custody.Output{Outcome: ledger.Permitted, Time: k.clock()}
	for _, row := range asked.Rows {
		if b := k.w.pool.byName[row.Batch]; b != nil {
			if _, err := k.store.Notice(asked.Patient, row.Batch); err == nil {
				out.Granted = append(out.Granted, custody.Row{Patient: asked.Patient, Batch: row.Batch, Records: row.Bits})
			}
		}
	}
	return out
}

// distort falsifies an honest reply.
func (k *keeper) distort(r *protocol.Reply) {
	if k.lies(LiePiece) {
		for i, bytes := range r.Pieces {
			if p, err := spread.ParsePiece(bytes); err == nil {
				p.Rows[0].Share[3] ^= 1
				r.Pieces[i] = p.Bytes()
			}
		}
	}
	if n := len(r.Notices); n > 0 && k.lies(LieList) {
		kept := r.Notices[:0]
		for _, notice := range r.Notices {
			if k.w.batchOf(notice.Head).id%2 == 0 {
				kept = append(kept, notice)
			}
		}
		r.Notices = kept
	}
	if n := len(r.Disclosures); n > 0 && k.lies(LieHistory) {
		r.Disclosures = r.Disclosures[:n-1-k.w.rng.IntN(n)]
		r.Total = uint64(len(r.Disclosures))
	}
}

// forged are statements for events that this keeper has heard of, certified by
// nobody else.
func (k *keeper) forged() (out []store.Statement) {
	for _, a := range k.kept.proposed {
		place := actor.Place{Actor: a.Actor(), Seq: a.Event().Seq, Hash: a.Hash()}
		cert := actor.NewCertificate(place, []actor.Vote{vote(k.x, place)})
		bytes := wire.Marshal(protocol.Statement{Event: a.Signed().Marshal(), Certificate: cert.Marshal()})
		out = append(out, store.Statement{Actor: a.Actor(), Seq: place.Seq, Bytes: bytes})
	}
	return out
}

// stripped is a key log without its certificates.
func stripped(list []store.Statement) []store.Statement {
	out := slices.Clone(list)
	for i := range out {
		var s protocol.Statement
		if wire.Unmarshal(out[i].Bytes, &s) == nil {
			s.Certificate = nil
			out[i].Bytes = wire.Marshal(s)
		}
	}
	return out
}

// eventOf is the hash of a statement's event, zero where it is none.
func eventOf(statement []byte) (h actor.Hash) {
	var s protocol.Statement
	if wire.Unmarshal(statement, &s) == nil {
		if signed, err := actor.ParseSigned(s.Event); err == nil {
			h = actor.HashOf(signed.Event)
		}
	}
	return h
}

// invented are events of the patient's log that a stranger signed, one after the
// other, beside what the keeper knows.
func (k *keeper) invented(list []store.Statement) (out []store.Statement) {
	if len(list) == 0 {
		return nil
	}
	stranger, last := k.w.pool.readers[0], list[len(list)-1]
	at := actor.Place{Actor: last.Actor, Seq: last.Seq, Hash: eventOf(last.Bytes)}
	for range 2 {
		event := actor.Step{Parents: []actor.Place{at}}.Event(k.clock(), &actor.Bar{Actor: stranger.id})
		at = actor.Place{Actor: at.Actor, Seq: at.Seq + 1, Hash: actor.HashOf(event)}
		bytes := wire.Marshal(protocol.Statement{Event: actor.Signed(event, actor.ByKey(stranger.manage, event)).Marshal()})
		out = append(out, store.Statement{Actor: at.Actor, Seq: at.Seq, Hash: at.Hash, Bytes: bytes})
	}
	return out
}

// keptWord is what a keeper said and must hold to: for the checks, and for a
// liar to draw on.
type keptWord struct {
	receipts [batchesMax]bool
	locks    [batchesMax]uint8 // numbers of locks a receipt was given for and nothing higher put in force, as bits
	releases []release
	proposed []*actor.Authentic
	size     uint64 // of the ledger it showed last
	jumped   bool   // its clock was wrong once
}

// release is one answer that handed out pieces.
type release struct {
	entry   uint64
	request [32]byte
}
