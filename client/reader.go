package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/quorum"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// ErrNoSeed means that the session holds no seed for the segment a record is
// locked to.
var ErrNoSeed = errors.New("this session has no key for that segment")

// Login is what a sign-in gives: the statement that a passkey signed, the
// session's keys, and the seeds of the grants it covers (RULINGS 1).
type Login struct {
	Signed  []byte       // session.Signed, as keepers get it
	Key     *key.Signing // signs requests
	Reply   *key.Box     // opens replies
	Bundles []session.Bundle
}

// Reader reads under one session. Safe for concurrent use. It holds seeds in
// memory: drop it when the session ends.
type Reader struct {
	n        *Network
	login    Login
	id       abaton.SessionID
	channels []*channel // by keeper index
	offset   int        // which keepers are asked first

	mu    sync.Mutex
	seeds map[markKey][]grant.Seed
	boxes map[abaton.SegmentID]*key.Box
}

// Ask says whose records, by what right and why.
type Ask struct {
	Patient abaton.ActorID
	Grant   abaton.GrantID // zero: the patient's own session
	Onward  abaton.Handed  // by which hand-on of Grant; zero normally
	Purpose abaton.Purpose
	Lines   []abaton.Line // what to list; records of other lines are not accepted
	StepUp  *session.SignedStepUp
	// Emergency and Approval are what opens, or confirms, an emergency set.
	Emergency *session.SignedEmergency
	// Approval also stands beside what a session reads while the watch holds it
	// back: a second clinician's word for this session and this Grant. It serves
	// for session.StepUpMax; what is read later needs a new one.
	Approval *session.SignedApproval

	hedge time.Duration // how long the keepers asked first have; zero is the usual
}

// Row names records of one batch: bit j is record j.
type Row struct {
	Batch   abaton.BatchName
	Records uint64
}

// NewReader starts reading under a session. It asks nothing yet: each keeper
// gets the statement with the first request to it.
func (n *Network) NewReader(l Login) (*Reader, error) {
	signed, err := session.ParseSigned(l.Signed)
	if err != nil {
		return nil, fmt.Errorf("start reader: %w", err)
	}
	var st session.Statement
	if wire.Unmarshal(signed.Statement, &st) != nil || l.Key == nil || l.Reply == nil ||
		st.Key != l.Key.ID() || !bytes.Equal(st.Reply, l.Reply.Public().Bytes()) || st.Set != n.set.ID() {
		return nil, fmt.Errorf("start reader: %w", abaton.Refuse(abaton.ReasonSession))
	}
	r := &Reader{n: n, login: l, id: session.Challenge(signed.Statement), channels: make([]*channel, n.params.N+1),
		seeds: make(map[markKey][]grant.Seed), boxes: make(map[abaton.SegmentID]*key.Box)}
	r.offset = int(r.id[0])
	for x := range r.channels {
		r.channels[x] = new(channel)
	}
	r.AddSeeds(l.Bundles...)
	return r, nil
}

// Session names the reader's session.
func (r *Reader) Session() abaton.SessionID { return r.id }

// AddSeeds gives the session more seeds, of a grant or an epoch that came
// after the sign-in.
func (r *Reader) AddSeeds(bundles ...session.Bundle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range bundles {
		for _, s := range b.Seeds {
			k := markOf(b.Patient, s.Line)
			if !s.Seed.IsZero() && !slices.Contains(r.seeds[k], s) {
				r.seeds[k] = append(r.seeds[k], s)
			}
		}
	}
}

// Close forgets the seeds.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, list := range r.seeds {
		for i := range list {
			list[i].Seed.Erase()
		}
	}
	clear(r.seeds)
	clear(r.boxes)
}

// segment is the private key of a patient's segment, made from its seed when
// first needed.
func (r *Reader) segment(patient abaton.ActorID, line abaton.Line, id abaton.SegmentID) *key.Box {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.boxes[id]; b != nil {
		return b
	}
	for _, s := range r.seeds[markOf(patient, line)] {
		b := key.BoxFromSeed(s.Seed)
		r.boxes[key.SegmentIDOf(b.Public())] = b
	}
	return r.boxes[id]
}

// prefer is the order in which keepers are asked: those that answered last
// time first, begun at a place of the session's own so that load is even.
func (r *Reader) prefer() []abaton.KeeperIndex {
	var good, bad []abaton.KeeperIndex
	for i := range r.n.params.N {
		x := abaton.KeeperIndex((i+r.offset)%r.n.params.N + 1)
		if r.channels[x].failing() {
			bad = append(bad, x)
		} else {
			good = append(good, x)
		}
	}
	return append(good, bad...)
}

// question is one request as it goes to every keeper.
type question struct {
	bytes []byte
	hash  [32]byte
}

// sign makes the one request that all keepers get.
func (r *Reader) sign(a Ask, mode session.Mode, rows []session.Row, cursor uint64) question {
	q := session.Request{V: wire.Version, Session: r.id, Patient: a.Patient, Grant: a.Grant, Onward: a.Onward, Mode: mode,
		Purpose: a.Purpose, Rows: rows, Time: r.n.now().Unix(), Cursor: cursor}
	if mode == session.List || mode == session.Parts {
		q.Lines = a.Lines
	}
	if a.StepUp != nil {
		q.StepUp = a.StepUp.Marshal()
	}
	if a.Emergency != nil && mode == session.Unseal {
		q.Emergency = a.Emergency.Marshal()
	}
	if a.Approval != nil && carriesApproval(mode) {
		q.Approval = a.Approval.Marshal()
	}
	rand.Read(q.Nonce[:])
	body := wire.Marshal(&q)
	return question{bytes: wire.Marshal(r.login.Key.Seal(wire.Request, body)), hash: sha(body)}
}

// carriesApproval: in requests of other modes keepers refuse one as malformed.
func carriesApproval(mode session.Mode) bool {
	switch mode {
	case session.Release, session.Permit, session.Index, session.List, session.Parts, session.Unseal, session.Confirm:
		return true
	}
	return false
}

// Permit renews the right to records already opened: fully checked and
// ledgered by at least T keepers, no bytes (RULINGS 22). Nil means permitted,
// for every record of rows.
func (r *Reader) Permit(ctx context.Context, a Ask, rows ...Row) error {
	for part := range slices.Chunk(rows, abaton.RequestRowsMax) {
		if err := r.permit(ctx, a, part); err != nil {
			return fmt.Errorf("permit: %w", err)
		}
	}
	return nil
}

func (r *Reader) permit(ctx context.Context, a Ask, rows []Row) error {
	q := r.sign(a, session.Permit, sessionRows(rows), 0)
	step := quorum.NewRead(r.n.params, r.prefer(), false)
	permits := quorum.Keepers(0)
	err := drive(ctx, play{
		start: step.Start, timer: step.Timer,
		ended: func() bool { return step.State() != quorum.Working },
		ask: func(ctx context.Context, x abaton.KeeperIndex) func() []quorum.Effect {
			reply, err := r.ask(ctx, x, q)
			return func() []quorum.Effect {
				switch reason := reasonOf(err); {
				case reason != "":
					return step.Refuse(x, reason)
				case err != nil:
					return step.Lost(x)
				case !reply.whole():
					return step.Refuse(x, abaton.ReasonNotFound)
				}
				permits = permits.With(x)
				return step.Answer(x, true, permits.Len() >= r.n.params.T)
			}
		},
	})
	if err != nil {
		return err
	}
	return step.Err()
}

func sessionRows(rows []Row) []session.Row {
	out := make([]session.Row, len(rows))
	for i, row := range rows {
		out[i] = session.Row{Batch: row.Batch, Bits: row.Records}
	}
	return out
}
