package custody

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/relation"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Table is the keeper's sealed set of routes (docs/ARCHITECTURE.md#request-path, step 1):
// what is not here does not exist, and nothing is here without a policy.
func (k *Keeper) Table() (*keeper.Table, error) {
	post := func(path string, p keeper.Policy, max int64, h func(context.Context, []byte) ([]byte, error)) keeper.Route {
		return keeper.Route{
			Method: "POST", Path: path, Policy: p, BodyMax: max, Content: keeper.ContentCBOR, Reply: keeper.ContentCBOR,
			Handle: func(ctx context.Context, _ string, body []byte) ([]byte, error) { return h(ctx, body) },
		}
	}
	witness := post(keeper.RouteWitness, keeper.ByCheckpoint, abaton.ControlBodyMax, k.Cosign)
	witness.Content, witness.Reply = keeper.ContentText, keeper.ContentText
	return keeper.Seal([]keeper.Route{
		post(keeper.RouteSession, keeper.BySession, session.SignedBytesMax, k.OpenSession),
		post(keeper.RouteRequest, keeper.ByRequest, session.RequestBytesMax, k.Release),
		post(keeper.RouteDeposit, keeper.ByWriter, abaton.DepositBodyMax, k.Keep),
		post(keeper.RoutePrepare, keeper.ByLocker, abaton.ControlBodyMax, k.Prepare),
		post(keeper.RouteCommit, keeper.ByReceipts, abaton.ControlBodyMax, k.Commit),
		post(keeper.RouteEvents, keeper.ByEvent, abaton.DepositBodyMax, k.Vote),
		post(keeper.RouteCertify, keeper.ByCertificate, abaton.DepositBodyMax, k.Accept),
		post(keeper.RouteNotices, keeper.ByReceipts, abaton.ControlBodyMax, k.Note),
		post(keeper.RouteQuery, keeper.ByQuery, abaton.ControlBodyMax, k.Tell),
		post(keeper.RouteRepair, keeper.ByPeer, abaton.DepositBodyMax, k.Aid),
		post(keeper.RouteRelations, keeper.ByOrganisation, relation.SignedBytesMax, k.Relate),
		post(keeper.RouteVerdict, keeper.ByPeer, abaton.ControlBodyMax, k.Hear),
		witness,
		{Method: "GET", Path: keeper.RouteEvidence, Policy: keeper.AsEvidence, Reply: keeper.ContentText, Handle: k.checkpoint},
		{Method: "GET", Path: keeper.RouteWitnessed, Policy: keeper.AsEvidence, Reply: keeper.ContentText, Handle: k.peerCheckpoint},
		{Method: "GET", Path: keeper.RouteTiles, Policy: keeper.AsEvidence, Reply: keeper.ContentBytes, Handle: k.tile},
	})
}

// Release answers one request. With Request.decide it is the keeper's whole
// security argument (docs/ARCHITECTURE.md#request-path): the checks in their fixed order,
// the first failure ends it, nothing leaves before its ledger entry is
// durable.
func (k *Keeper) Release(ctx context.Context, body []byte) ([]byte, error) {
	asked, err := session.ParseRequest(body) // 2: one canonical form only
	if err != nil {
		return nil, err
	}
	if k.Clock().Health == ClockWrong {
		return nil, abaton.Refuse(abaton.ReasonClock)
	}
	now := k.cfg.Now()
	open := k.sessions.find(asked.Session, now) // 3: a statement verified here
	if open == nil {
		return nil, abaton.Refuse(abaton.ReasonNoSession)
	}
	if err := asked.Authenticate(open.session, now); err != nil && !k.cfg.Mutation.skips("signature") { // 5: signature, time
		return nil, err
	}
	out, err := k.submit(ctx, k.request(open, asked, now)) // 4, 5 replay, 6 to 11
	if err != nil {
		return nil, err
	}
	if out[0].Err != nil && !out[0].Ledgered {
		return nil, out[0].Err // failures up to 5 are counted, not ledgered
	}
	reply, err := k.reply(asked, out[0]) // the pieces, read only now
	if err != nil {
		return nil, err
	}
	return k.sealReply(open, asked, reply) // 12: sealed to the session
}

// reply builds the answer to a ledgered request.
func (k *Keeper) reply(asked *session.Asked, out Output) (*keeper.Reply, error) {
	r := &keeper.Reply{
		V: wire.Version, Keeper: k.cfg.Index, Request: asked.Hash(), Outcome: keeper.Outcome(out.Outcome), Reason: out.Reason,
		Entry: out.Entry, Checkpoint: out.Checkpoint, Time: uint64(out.Time.Unix()),
	}
	if out.Err != nil {
		return r, nil
	}
	var err error
	switch asked.Mode {
	case session.Release, session.Index:
		r.Pieces, err = k.pieces(out.Granted, false)
	case session.Locks:
		r.Pieces, err = k.pieces(out.Granted, true)
	case session.List:
		r.Notices, r.Next, err = k.listing(asked.Patient, out.Lines, spread.Ordinary, asked.Cursor)
	case session.Parts:
		r.Notices, r.Next, err = k.listing(asked.Patient, out.Lines, spread.PartClass, asked.Cursor)
	case session.History:
		err = k.history(r, asked.Patient, asked.Cursor)
	case session.Unseal:
		if r.Share, err = k.share(asked.Patient, out.Escrow); err == nil && out.Opened {
			r.Released = k.released(asked, out)
		}
	}
	return r, err
}

// pieces reads what was granted: under the lock in force, and if every lock is
// asked for under those prepared beside it too. A record erased since then
// comes as erased.
func (k *Keeper) pieces(granted []Row, every bool) ([][]byte, error) {
	out := make([][]byte, 0, len(granted))
	size := 0
	for _, row := range granted {
		all, err := k.piecesOf(row, every)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			k.cfg.Mutation.lie(p)
			b := p.Bytes()
			if size += len(b); size > k.replyMax {
				return nil, abaton.Refuse(abaton.ReasonTooLarge) // no reader would take it: ask for less
			}
			out = append(out, b)
		}
	}
	return out, nil
}

func (k *Keeper) piecesOf(row Row, every bool) ([]*spread.Piece, error) {
	w, err := k.store.Whole(row.Patient, row.Batch, row.Records, every)
	if err != nil {
		return nil, err
	}
	n := &w.Notice
	s := &spread.Stored{X: k.cfg.Index, Capsule: n.Capsule}
	if err := errors.Join(wire.Unmarshal(n.Head, &s.Head), wire.Unmarshal(n.Lock, &s.Lock)); err != nil {
		return nil, err
	}
	s.Leaves = append(s.Leaves, n.Leaves...)
	s.Rows = make([]spread.StoredRow, len(n.Leaves))
	for j, share := range w.Shares {
		if share.Erased {
			if share.Bytes, err = k.goneLeaf(row.Batch, j, share.Bytes); err != nil {
				return nil, err
			}
			s.Rows[j] = spread.StoredRow{Erased: true, ShareLeaf: share.Bytes}
			continue
		}
		s.Rows[j].Share = share.Bytes
	}
	for _, r := range w.Kept {
		s.Rows[r.Index].Length, s.Rows[r.Index].Fragment = r.Length, r.Fragment
	}
	first, err := spread.MakePiece(s, row.Records)
	all := []*spread.Piece{first}
	for i := 0; err == nil && i < len(w.Beside); i++ {
		var p *spread.Piece
		p, err = besidePiece(*s, &w.Beside[i], row.Records)
		all = append(all, p)
	}
	return all, err
}

// besidePiece is the piece under a prepared lock: the same bodies.
func besidePiece(s spread.Stored, b *store.Beside, records uint64) (*spread.Piece, error) {
	if err := wire.Unmarshal(b.Lock, &s.Lock); err != nil {
		return nil, err
	}
	s.Capsule, s.Rows = b.Capsule, slices.Clone(s.Rows)
	for j := range s.Rows {
		s.Rows[j].Share, s.Rows[j].ShareLeaf = b.Shares[j], b.Leaves[j]
	}
	return spread.MakePiece(&s, records)
}

// goneLeaf is the share leaf of an erased record: the tombstone's, or, where
// the erasure came before the batch, the one kept with the deposit.
func (k *Keeper) goneLeaf(batch abaton.BatchName, j int, known [32]byte) ([32]byte, error) {
	return goneLeaf(k.store, batch, j, known)
}

func goneLeaf(s *store.Store, batch abaton.BatchName, j int, known [32]byte) ([32]byte, error) {
	if known != ([32]byte{}) {
		return known, nil
	}
	b, err := s.Raw(leafSpace).Get(leafKey(batch, j))
	if err != nil || len(b) != len(known) {
		return known, err
	}
	return [32]byte(b), nil
}

func (k *Keeper) history(r *keeper.Reply, patient abaton.ActorID, from uint64) error {
	x, err := k.core.log.Extract(patient, from, abaton.DisclosuresMax)
	if err != nil {
		return err
	}
	r.Checkpoint, r.Total = x.Checkpoint, x.Total
	for i := range x.Disclosures {
		r.Disclosures = append(r.Disclosures, disclosed(&x.Disclosures[i]))
	}
	if at := from + uint64(len(x.Disclosures)); at < x.Total {
		r.Next = at
	}
	return nil
}

// sealReply signs the reply and seals it to the session; a relay or another
// keeper can do nothing with it.
func (k *Keeper) sealReply(o *open, asked *session.Asked, r *keeper.Reply) ([]byte, error) {
	signed := wire.Marshal(k.cfg.Key.Seal(wire.Reply, wire.Marshal(r)))
	sealed, err := o.channel.SealReply(asked.Hash(), signed)
	if err != nil {
		return nil, err
	}
	return wire.Marshal(keeper.SealedReply{V: wire.Version, Keeper: k.cfg.Index, Salt: sealed.Salt, Sealed: sealed.Ciphertext}), nil
}

// one has a single input decided; a refusal is the error.
func (k *Keeper) one(ctx context.Context, in Input) (Output, error) {
	out, err := k.submit(ctx, in)
	if err != nil {
		return Output{}, err
	}
	return out[0], out[0].Err
}

// Keep accepts deposits: each upload is opened, its content checked, then
// kept under the rules of Deposit.
func (k *Keeper) Keep(ctx context.Context, body []byte) ([]byte, error) {
	var m keeper.Deposits
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return k.each(ctx, m.Uploads, func(sealed []byte) (Input, error) {
		u, err := spread.OpenUpload(sealed, k.cfg.Set.ID(), k.cfg.Index, k.cfg.Box)
		if err != nil {
			return nil, err
		}
		checked, err := spread.Check(u, k.shape, k.cfg.Set.ID(), k.cfg.Index)
		if err != nil {
			return nil, err
		}
		return Deposit{Upload: checked}, nil
	}, func(o Output) []byte { return o.Bytes })
}

// Vote answers key-log events with this keeper's vote. For an event that only
// narrows, the reason slot-taken means: in force here, but its slot belongs to
// another event.
func (k *Keeper) Vote(ctx context.Context, body []byte) ([]byte, error) {
	var m keeper.Events
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return k.each(ctx, m.Events, func(data []byte) (Input, error) {
		a, err := k.authentic(data)
		if err == nil {
			err = k.holdsShare(a)
		}
		if err != nil {
			return nil, err
		}
		return Publish{Event: a, Posted: true}, nil
	}, func(o Output) []byte {
		return wire.Marshal(actor.SignVote(k.cfg.Set.ID(), k.cfg.Index, k.cfg.Key, o.Place))
	})
}

func (k *Keeper) authentic(data []byte) (*actor.Authentic, error) {
	signed, err := actor.ParseSigned(data)
	if err != nil {
		return nil, err
	}
	return actor.Authenticate(signed, k.cfg.Set.RelyingParty)
}

// Accept takes certified events.
func (k *Keeper) Accept(ctx context.Context, body []byte) ([]byte, error) {
	var m keeper.Certificates
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	return k.each(ctx, m.Statements, k.certified, func(Output) []byte { return []byte{} })
}

// certified verifies a statement as a client brings it: certified, or one
// that only narrows.
func (k *Keeper) certified(data []byte) (Input, error) {
	in, err := k.stated(data)
	if p, bare := in.(Publish); err == nil && bare && !actor.Narrows(p.Event.Kind()) {
		return nil, abaton.Refuse(abaton.ReasonCertificate)
	}
	return in, err
}

// stated verifies a statement as it travels between keepers: the event's
// proofs and, where it has one, its certificate. A bare event gives nothing
// until its certificate comes.
func (k *Keeper) stated(data []byte) (Input, error) {
	var s keeper.Statement
	if wire.Unmarshal(data, &s) != nil {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	a, err := k.authentic(s.Event)
	if err != nil {
		return nil, err
	}
	if len(s.Certificate) == 0 {
		return Publish{Event: a}, nil
	}
	cert, err := actor.ParseCertificate(s.Certificate)
	if err != nil {
		return nil, err
	}
	counted, err := cert.Verify(k.cfg.Set)
	if err != nil {
		return nil, err
	}
	return Certify{Event: a, Certificate: cert, Certified: counted}, nil
}

// Note takes readers' write-backs.
func (k *Keeper) Note(ctx context.Context, body []byte) ([]byte, error) {
	var m keeper.Notices
	if wire.Unmarshal(body, &m) != nil || m.V != wire.Version {
		return nil, abaton.Refuse(abaton.ReasonMalformed)
	}
	items := make([][]byte, len(m.Notices))
	for i := range m.Notices {
		items[i] = wire.Marshal(m.Notices[i])
	}
	return k.each(ctx, items, func(data []byte) (Input, error) {
		var n keeper.Notice
		if wire.Unmarshal(data, &n) != nil {
			return nil, abaton.Refuse(abaton.ReasonMalformed)
		}
		w, err := checkNotice(n, k.cfg.Set)
		if err == nil && w.Head.Patient != m.Patient {
			err = abaton.Refuse(abaton.ReasonMalformed)
		}
		return w, err
	}, func(Output) []byte { return []byte{} })
}

// each prepares the items of a message, has them decided together, and
// answers each in its place.
func (k *Keeper) each(ctx context.Context, items [][]byte, prepare func([]byte) (Input, error), ok func(Output) []byte) ([]byte, error) {
	if len(items) > abaton.EventsPerMessageMax {
		return nil, abaton.Refuse(abaton.ReasonTooLarge)
	}
	results := make([]keeper.Result, len(items))
	var inputs []Input
	var at []int
	for i, item := range items {
		in, err := prepare(item)
		if err != nil {
			results[i].Reason = reasonOf(err)
			continue
		}
		inputs, at = append(inputs, in), append(at, i)
	}
	out, err := k.submit(ctx, inputs...)
	if err != nil {
		return nil, err
	}
	for n, o := range out {
		if o.Err != nil {
			results[at[n]].Reason = reasonOf(o.Err)
			continue
		}
		results[at[n]].OK = ok(o)
	}
	return wire.Marshal(keeper.Results{V: wire.Version, Results: results}), nil
}

// reasonOf is the reason of a refusal; what is none is a malformed item.
func reasonOf(err error) abaton.Reason {
	if e, ok := errors.AsType[*abaton.RefusedError](err); ok {
		return e.Reason
	}
	return abaton.ReasonMalformed
}

// Cosign answers a peer's add-checkpoint (c2sp.org/tlog-witness).
func (k *Keeper) Cosign(ctx context.Context, body []byte) ([]byte, error) {
	out, err := k.one(ctx, Cosign{Body: body})
	return out.Bytes, err
}

// checkpoint is the newest signed checkpoint, with the cosignatures of peers
// once they have cosigned this very tree.
func (k *Keeper) checkpoint(context.Context, string, []byte) ([]byte, error) {
	c, signed := k.core.log.Checkpoint()
	kept, err := k.core.log.Cosigned()
	if err != nil || len(kept) == 0 {
		return signed, err
	}
	own := k.core.cfg.Evidence[k.cfg.Index]
	held, err := ledger.VerifyCheckpoint(kept, own.Origin, own.Ledger)
	if err != nil || held != c {
		return signed, nil
	}
	_, lines, _ := bytes.Cut(kept, []byte("\n\n"))
	both, err := ledger.Countersign(signed, lines, k.peerVerifiers()...)
	if err != nil {
		return signed, nil // nothing of the peers' holds for it
	}
	return both, nil
}

// peerVerifiers verify the other keepers' cosignatures.
func (k *Keeper) peerVerifiers() []note.Verifier {
	var vs []note.Verifier
	for x, e := range k.core.cfg.Evidence {
		if x != k.cfg.Index {
			vs = append(vs, e.Dated)
		}
	}
	return vs
}

func (k *Keeper) tile(_ context.Context, path string, _ []byte) ([]byte, error) {
	t, err := k.core.log.Tile(strings.TrimPrefix(path, "/"))
	if err != nil {
		return nil, abaton.Refuse(abaton.ReasonNotFound)
	}
	return t, nil
}
