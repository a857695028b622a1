package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/custody"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/wire"
)

// mark is the world's cheap stand-in for a keeper's signature: a hash that
// names the keeper. Nobody in a world makes another keeper's mark; that real
// signatures cannot be made either is what the rooms below are tested for.
func mark(x abaton.KeeperIndex, use byte, body []byte) []byte {
	h := sha256.New()
	h.Write([]byte{byte(x), use})
	h.Write(body)
	return h.Sum(make([]byte, 0, 2*sha256.Size))[:sha256.Size:sha256.Size]
}

// What a mark stands for.
const (
	forNote    = 'n'
	forDate    = 'd'
	forReceipt = 'r'
	forVote    = 'v'
)

// signer marks one keeper's checkpoints, dated or not.
type signer struct {
	x     abaton.KeeperIndex
	name  string
	dated bool
}

func (s signer) use() byte {
	if s.dated {
		return forDate
	}
	return forNote
}

// Name implements note.Signer, note.Verifier and ledger.Cosigner.
func (s signer) Name() string { return s.name }

// KeyHash implements note.Signer, note.Verifier and ledger.Cosigner.
func (s signer) KeyHash() uint32 { return uint32(s.x)<<8 | uint32(s.use()) }

// Sign implements note.Signer.
func (s signer) Sign(message []byte) ([]byte, error) {
	m := mark(s.x, s.use(), message)
	return append(m, m...), nil
}

// SignAt implements ledger.Cosigner.
func (s signer) SignAt(text []byte, at time.Time) ([]byte, error) {
	unix := uint64(at.Unix())
	m := mark(s.x, s.use(), ledger.CosignedMessage(text, unix))
	return append(append(binary.BigEndian.AppendUint64(nil, unix), m...), m...), nil
}

// Verify implements note.Verifier.
func (s signer) Verify(message, sig []byte) bool {
	if s.dated {
		if len(sig) != 8+2*sha256.Size {
			return false
		}
		message = ledger.CosignedMessage(message, binary.BigEndian.Uint64(sig))
		sig = sig[8:]
	}
	return len(sig) == 2*sha256.Size && string(sig[:sha256.Size]) == string(mark(s.x, s.use(), message))
}

// evidenceOf is what everybody knows of the keepers' ledgers.
func evidenceOf(set *actor.Set) map[abaton.KeeperIndex]custody.Evidence {
	out := make(map[abaton.KeeperIndex]custody.Evidence)
	for i := range set.Keepers {
		k := &set.Keepers[i]
		plain, dated := signer{x: k.X, name: k.Origin}, signer{x: k.X, name: k.Origin, dated: true}
		out[k.X] = custody.Evidence{Origin: k.Origin, Ledger: plain, Dated: dated}
	}
	return out
}

// coreConfig is a keeper of the set with marks for signatures.
func coreConfig(set *actor.Set, evidence map[abaton.KeeperIndex]custody.Evidence, x abaton.KeeperIndex, admitted ...abaton.ActorID) custody.CoreConfig {
	own := evidence[x]
	cosigner := signer{x: x, name: own.Origin, dated: true}
	origins := make(map[string]note.Verifier)
	for y, e := range evidence {
		if y != x {
			origins[e.Origin] = e.Ledger
		}
	}
	return custody.CoreConfig{
		Set: set, Index: x, Evidence: evidence, Admitted: admitted, Budget: custody.Budget{PatientsPerHour: 100, PatientsPerDay: 200},
		Ledger: ledger.Config{
			Origin: own.Origin, Keeper: x, Signer: signer{x: x, name: own.Origin}, Verifier: own.Ledger, Cosigner: cosigner,
		},
		Witness: ledger.WitnessConfig{Cosigner: cosigner, Own: own.Dated, Origins: origins},
		Receipt: func(body []byte) []byte { return receipt(x, body) },
	}
}

// receipt is a receipt's body under its keeper's mark.
func receipt(x abaton.KeeperIndex, body []byte) []byte {
	return wire.Marshal(wire.Signed{Body: body, Sig: mark(x, forReceipt, body)})
}

// receiptOf is whose valid receipt for a lock of b this is; zero for nobody's. The same
// bytes are read once.
func (w *world) receiptOf(b *batch, number int, bytes []byte) abaton.KeeperIndex {
	if number > 1 {
		return w.lockReceipt(b, number, bytes)
	}
	known := &w.receipts[b.id]
	if x, ok := (*known)[string(bytes)]; ok {
		return x
	}
	if *known == nil {
		*known = make(map[string]abaton.KeeperIndex)
	}
	x := readReceipt(b, bytes)
	(*known)[string(bytes)] = x
	return x
}

func readReceipt(b *batch, bytes []byte) abaton.KeeperIndex {
	var s wire.Signed
	var r protocol.Receipt
	if wire.Unmarshal(bytes, &s) != nil || wire.Unmarshal(s.Body, &r) != nil {
		return 0
	}
	if r.Batch != b.name || r.Lock != b.lockHash || string(s.Sig) != string(mark(r.Keeper, forReceipt, s.Body)) {
		return 0
	}
	return r.Keeper
}

// vote is keeper x's vote for a place.
func vote(x abaton.KeeperIndex, p actor.Place) actor.Vote {
	return actor.Vote{X: x, Sig: mark(x, forVote, placeBytes(p))}
}

// votesOf counts the valid votes of a certificate.
func votesOf(c *actor.Certificate) (n int) {
	body := placeBytes(c.Place())
	for _, v := range c.Votes {
		if string(v.Sig) == string(mark(v.X, forVote, body)) {
			n++
		}
	}
	return n
}

func placeBytes(p actor.Place) []byte {
	return append(append(append([]byte(nil), p.Actor[:]...), wire.U64(p.Seq)...), p.Hash[:]...)
}
