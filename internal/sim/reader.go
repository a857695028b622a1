package sim

import (
	"slices"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/quorum"
	protocol "github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// reader is a clinician's gateway: it lists and reads one thing after the
// other, under whatever grant it was ever given, revoked ones too.
type reader struct {
	w      *world
	i      int
	who    *person
	left   int
	busy   bool
	known  []*batch
	pinned map[int]bool // batches it has shown as saved, for good
}

func newReader(w *world, i int) *reader {
	return &reader{w: w, i: i, who: w.pool.readers[i], left: w.plan.Lists, pinned: make(map[int]bool)}
}

func (r *reader) place() place { return atReader + place(r.i) }
func (r *reader) idle() bool   { return r.left == 0 && !r.busy }

func (r *reader) plan() { r.w.after(r.w.between(2*time.Second, 6*time.Second), r.next) }

// next does one thing, then thinks.
func (r *reader) next() {
	if r.left == 0 {
		return
	}
	g := r.w.checker.anyGrant(r.i)
	if g == nil {
		r.w.after(r.w.between(time.Second, 3*time.Second), r.next)
		if r.w.calm {
			r.left--
		}
		return
	}
	r.left--
	r.busy = true
	then := func() {
		r.busy = false
		r.w.after(r.w.between(100*time.Millisecond, r.w.plan.Life/time.Duration(r.w.plan.Lists)), r.next)
	}
	if len(r.known) == 0 || r.w.rng.IntN(3) == 0 {
		r.list(g, then)
		return
	}
	r.read(g, r.some(), then)
}

// some batches of those it knows.
func (r *reader) some() (out []*batch) {
	for range 1 + r.w.rng.IntN(3) {
		if b := r.known[r.w.rng.IntN(len(r.known))]; !slices.Contains(out, b) {
			out = append(out, b)
		}
	}
	return out
}

// question makes a request as the person's session would.
func (w *world) question(s *session.Session, g abaton.GrantID, mode session.Mode, rows []session.Row) *session.Asked {
	st := s.Statement()
	q := session.Request{
		V: wire.Version, Session: s.ID(), Patient: w.pool.patient.id, Grant: g, Mode: mode,
		Purpose: abaton.Treatment, Rows: rows, Time: w.clock().Unix(), Nonce: w.nonce(),
	}
	if st.Actor == q.Patient {
		q.Purpose = abaton.PatientAccess
	}
	if mode == session.List {
		q.Lines = []abaton.Line{w.pool.patient.line()}
	}
	asked, err := session.ParseRequest(wire.Marshal(wire.Signed{Body: wire.Marshal(q), Sig: make([]byte, 64)}))
	if err != nil {
		panic("sim: a world asks only what can be asked: " + err.Error())
	}
	return asked
}

func (w *world) nonce() (n [grant.NonceBytes]byte) {
	for i := range n {
		n[i] = byte(w.rng.Uint32())
	}
	return n
}

// answer is a keeper's reply, or its refusal before the ledger.
type answer struct {
	reply  *protocol.Reply
	reason abaton.Reason
}

// ask sends a request to keeper x and brings back what it answers.
func (w *world) ask(from place, s *session.Session, x abaton.KeeperIndex, asked *session.Asked, heard func(answer), lost func()) {
	w.call(from, x, callTimeout, func(k *keeper, reply func(func())) {
		k.request(s, asked, func(a answer) { reply(func() { heard(a) }) })
	}, lost)
}

// request is a keeper that is asked.
func (k *keeper) request(s *session.Session, asked *session.Asked, give func(answer)) {
	switch {
	case k.lies(LieSilent):
		return
	case k.lies(LieRefuse):
		give(answer{reason: abaton.ReasonNotFound})
		return
	case len(asked.Rows) > 0 && k.lies(LieRelease):
		if r, err := k.answers.Reply(asked, k.released(asked)); err == nil {
			k.distort(r)
			give(answer{reply: r})
		}
		return
	}
	in := custody.Request{Session: s, Asked: asked, Party: relyingParty}
	k.submit(job{session: s, inputs: []custody.Input{in}, answer: func(out []custody.Output) {
		k.w.note("asked", k.place(), int(asked.Mode), len(reasonOf(out[0])))
		if a, ok := k.replies(asked, out[0]); ok {
			give(a)
		}
	}})
}

func (k *keeper) replies(asked *session.Asked, out custody.Output) (answer, bool) {
	if out.Err != nil {
		return answer{reason: reasonOf(out)}, true
	}
	r, err := k.answers.Reply(asked, out)
	if err != nil {
		return answer{}, false
	}
	if len(out.Granted) > 0 {
		k.w.checker.leaves(k, asked, out)
	}
	if k.fault == Byzantine {
		k.distort(r)
	}
	return answer{reply: r}, true
}

// reading is one Read under way.
type reading struct {
	r      *reader
	g      *grantFact
	asked  *session.Asked
	began  time.Duration
	step   *quorum.Read
	rows   []*batch
	valid  [batchesMax][locksMax + 1]quorum.Keepers // by number of the lock
	again  bool                                     // asked for every lock
	erased [batchesMax]uint64
	then   func()
}

func (r *reader) read(g *grantFact, rows []*batch, then func()) {
	w := r.w
	var ask []session.Row
	for _, b := range rows {
		ask = append(ask, session.Row{Batch: b.name, Bits: b.all()})
	}
	prefer := []abaton.KeeperIndex{1, 2, 3, 4, 5}
	w.rng.Shuffle(len(prefer), func(i, j int) { prefer[i], prefer[j] = prefer[j], prefer[i] })
	t := &reading{
		r: r, g: g, asked: w.question(r.who.session, g.id, session.Release, ask), began: w.now, rows: rows,
		step: quorum.NewRead(five, prefer, g.revoked || w.rng.IntN(3) == 0), then: then,
	}
	w.note("reads", r.place(), len(rows), g.n)
	t.do(t.step.Start())
}

func (t *reading) do(effects []quorum.Effect) {
	w := t.r.w
	for _, e := range effects {
		switch e.Do {
		case quorum.Send:
			x := e.Keeper
			w.ask(t.r.place(), t.r.who.session, x, t.asked, func(a answer) { t.heard(x, a) }, func() { t.do(t.step.Lost(x)) })
		case quorum.Wake:
			w.after(e.After, func() { t.do(t.step.Timer()) })
		case quorum.Changed:
			t.end()
		}
	}
}

func (t *reading) heard(x abaton.KeeperIndex, a answer) {
	if a.reply == nil {
		t.do(t.step.Refuse(x, a.reason))
		return
	}
	if a.reply.Outcome == protocol.Refused {
		t.do(t.step.Refuse(x, a.reply.Reason))
		return
	}
	t.take(x, a.reply)
	helps, enough := true, true
	for _, b := range t.rows {
		has, whole := false, false
		for _, from := range t.valid[b.id] {
			has, whole = has || from.Has(x), whole || from.Len() >= five.T
		}
		helps, enough = helps && has, enough && whole
	}
	t.do(t.step.Answer(x, helps, enough))
}

// heal asks once more, for every lock held: the batches may be locked anew just
// now. False when nothing speaks for it.
func (t *reading) heal() bool {
	if t.again || t.step.State() != quorum.Unavailable || t.step.Answered() == 0 {
		return false
	}
	t.again = true
	w := t.r.w
	var ask []session.Row
	for _, b := range t.rows {
		ask = append(ask, session.Row{Batch: b.name, Bits: b.all()})
	}
	t.asked = w.question(t.r.who.session, t.g.id, session.Locks, ask)
	t.began, t.step = w.now, quorum.NewRead(five, nil, true)
	t.valid = [batchesMax][locksMax + 1]quorum.Keepers{}
	w.note("asks for every lock", t.r.place(), len(t.rows), t.g.n)
	t.do(t.step.Start())
	return true
}

// end tells what came of it.
func (t *reading) end() {
	w := t.r.w
	w.note("read state", t.r.place(), int(t.step.State()), len(t.step.Reason()))
	if t.heal() {
		return
	}
	if t.again && t.step.State() == quorum.Durable {
		w.result.Done.Healed++
	}
	switch t.step.State() {
	case quorum.Durable:
		w.result.Done.Opened++
		w.checker.opened(t)
	case quorum.Refused:
		w.result.Done.Refused++
	}
	w.checker.answered(t)
	t.then()
}
