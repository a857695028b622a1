package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// clinicianDrills are thefts and abuses with both locks in hand: only how they
// ask gives them away.
func clinicianDrills() []drill {
	return []drill{
		{name: "stolen-session", attack: "a clinician's open session is copied out of memory and reads patient after patient", bothLocks: true, vector: report.StolenSession, run: stolenSession},
		{name: "gateway-memory", attack: "a gateway's memory is copied while two of the ward are signed in; both sessions read on", bothLocks: true, vector: report.Gateway, run: gatewayMemory},
		{name: "shared-credential", attack: "two people use one passkey, at two devices", bothLocks: true, vector: report.SharedAccount, run: sharedCredential},
		{name: "laptop-fast", attack: "an unlocked laptop reads all patients as fast as it can, without its owner's finger", bothLocks: true, vector: report.StolenDevice, run: laptop("as fast as it can", 0, nil)},
		{name: "laptop-slow", attack: "the same, one patient every two seconds", bothLocks: true, vector: report.StolenDevice, run: laptop("one patient every two seconds", 2*time.Second, nil)},
		{name: "laptop-sequential", attack: "the same, in the order of their names", bothLocks: true, vector: report.StolenDevice, run: laptop("in the order of names", 300*time.Millisecond, byName)},
		{name: "insider-export", attack: "a clinician who wants it reads on and touches the passkey each time, a touch a second", bothLocks: true, vector: report.Insider, run: insiderExport},
		{name: "snooping-colleague", attack: "one of the ward looks up one patient whom nobody asked about", bothLocks: true, vector: report.Insider, run: snoopingColleague},
		{name: "break-glass", attack: "a doctor opens emergency sets of patients who are not there, one after the other", bothLocks: true, vector: report.Emergency, run: breakGlass},
	}
}

// exportPatientsMax is how many patients an export may reach before it is
// contained (docs/adr/0031-the-watch.md). Who answers every step-up is suspended
// above ten patients at each keeper: 11 times five thirds, and what is read while
// verdicts travel.
const (
	exportPatientsMax  = 11
	insiderPatientsMax = 20
)

// exportMax is how long an export goes on where nothing stops it, and
// exportQuiet how long one tries on that gets nothing any more.
const (
	exportMax   = 75 * time.Second
	exportQuiet = 8 * time.Second
)

// export is one who reads on until refused.
type export struct {
	g      *ground
	logins func(context.Context) (client.Login, error) // a session; again when it is refused
	touch  *key.Passkey                                // nil: what needs a touch is lost
	pace   time.Duration
	order  []*people.Person

	haul     *haul
	began    time.Time
	seen     time.Duration // the first refusal by the watch
	last     time.Duration // the last patient opened
	refusals map[abaton.Reason]int
	sessions map[abaton.SessionID]bool
}

// watchReasons are refusals by which the watch shows.
var watchReasons = []abaton.Reason{"suspended", "throttled", abaton.ReasonStepUp, abaton.ReasonBudget}

// run reads all patients, and goes back to those that were refused, until
// nothing opens any more.
func (x *export) run(ctx context.Context) error {
	x.haul, x.began, x.seen, x.refusals = newHaul(), time.Now(), -1, make(map[abaton.Reason]int)
	x.sessions = make(map[abaton.SessionID]bool)
	reader, err := x.signIn(ctx)
	if err != nil {
		return err
	}
	defer func() { reader.Close() }()
	for round := 0; len(x.haul.patients) < len(x.order); round++ {
		for _, p := range x.order {
			if x.haul.patients[p.ID] {
				continue
			}
			if time.Since(x.began) > exportMax || x.seen >= 0 && time.Since(x.began) > x.last+exportQuiet+5*x.pace {
				return nil
			}
			x.one(ctx, reader, p)
			if err := pause(ctx, max(x.pace, time.Millisecond)); err != nil {
				return err
			}
		}
		if x.touch != nil { // whoever has the passkey signs in anew
			reader.Close()
			if reader, err = x.signIn(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (x *export) signIn(ctx context.Context) (*client.Reader, error) {
	l, err := x.logins(ctx)
	if err != nil {
		return nil, err
	}
	reader, err := x.g.org.net.NewReader(l)
	if err == nil {
		x.sessions[reader.Session()] = true
	}
	return reader, err
}

// one tries one patient, with a touch where that is asked for and at hand.
func (x *export) one(ctx context.Context, reader *client.Reader, p *people.Person) {
	ask, err := x.g.ask(ctx, p)
	if err != nil {
		return
	}
	err = x.g.robber().tryAsk(ctx, x.haul, reader, ask)
	if reason := x.noted(err); reason == abaton.ReasonStepUp && x.touch != nil {
		if ask.StepUp, err = touched(x.touch, reader.Session(), p.ID, ask.Purpose, ask.Lines[0]); err == nil {
			x.noted(x.g.robber().tryAsk(ctx, x.haul, reader, ask))
		}
	}
	if x.haul.patients[p.ID] {
		x.last = time.Since(x.began)
	}
}

// noted counts a refusal.
func (x *export) noted(err error) abaton.Reason {
	if err == nil {
		return ""
	}
	reason := reasonIn(err)
	x.refusals[reason]++
	if x.seen < 0 && slices.Contains(watchReasons, reason) {
		x.seen = time.Since(x.began)
	}
	return reason
}

// told is what keepers answered, for people.
func (x *export) told() string {
	var all []string
	for reason, n := range x.refusals {
		all = append(all, fmt.Sprintf("%s %d times", cmp.Or(string(reason), "no answer"), n))
	}
	slices.Sort(all)
	if len(all) == 0 {
		return "nothing was refused"
	}
	return "refused: " + strings.Join(all, ", ")
}

// contained judges an export: what it got before the watch stopped it.
func (x *export) contained(ctx context.Context, most int) (loss, error) {
	l := unseen()
	err := x.run(ctx)
	if err != nil {
		return l, err
	}
	l.seen = x.seen
	if x.seen >= 0 && len(x.haul.patients) < len(x.order) {
		l.stopped = max(x.last, x.seen)
	}
	l.began, l.detail, l.who = x.began, x.told(), x.session()
	_, err = x.g.account(ctx, &l, x.began, x.haul, func(line *ledger.Entry) bool { return x.sessions[line.Session] })
	if len(x.haul.patients) > most {
		err = errors.Join(err, fmt.Errorf("not contained: %d of %d patients, at most %d", len(x.haul.patients), len(x.order), most))
	}
	return l, err
}

// session is the one session that read; empty if there were several.
func (x *export) session() string {
	for id := range x.sessions {
		if len(x.sessions) == 1 {
			return id.String()
		}
	}
	return ""
}

// once gives the same session each time.
func once(l client.Login) func(context.Context) (client.Login, error) {
	return func(context.Context) (client.Login, error) { return l, nil }
}

func stolenSession(ctx context.Context, g *ground) (loss, error) {
	p, err := g.bad()
	if err != nil {
		return unseen(), err
	}
	l, err := lent(ctx, g.n, p)
	if err != nil {
		return unseen(), err
	}
	return (&export{g: g, logins: once(l), order: g.patients}).contained(ctx, exportPatientsMax)
}

// gatewayMemory reads on with each session that the gateway held. It reaches what
// those sessions may, and each is contained by itself.
func gatewayMemory(ctx context.Context, g *ground) (loss, error) {
	total := loss{seen: 0, stopped: 0, exact: true}
	for range 2 {
		l, err := stolenSession(ctx, g)
		total.records, total.patients, total.exact = total.records+l.records, total.patients+l.patients, total.exact && l.exact
		total.detail = l.detail
		if err != nil {
			return total, err
		}
		if l.seen < 0 || l.stopped < 0 {
			total.seen, total.stopped = -1, -1
		}
		if total.seen >= 0 {
			total.seen, total.stopped = max(total.seen, l.seen), max(total.stopped, l.stopped)
		}
	}
	total.detail = "patients of both sessions counted one by one, the later time of the two; " + total.detail
	return total, nil
}

func byName(a, b *people.Person) int { return strings.Compare(a.Handle, b.Handle) }

// laptop is an unlocked device with an open session; its passkey asks for the
// owner's finger or number, which a thief of the laptop does not have.
func laptop(how string, pace time.Duration, order func(a, b *people.Person) int) func(context.Context, *ground) (loss, error) {
	return func(ctx context.Context, g *ground) (loss, error) {
		p, err := g.bad()
		if err != nil {
			return unseen(), err
		}
		patients := slices.Clone(g.patients)
		if order != nil {
			slices.SortFunc(patients, order)
		}
		open, err := lent(ctx, g.n, p)
		if err != nil {
			return unseen(), err
		}
		l, err := (&export{g: g, pace: pace, order: patients, logins: once(open)}).contained(ctx, exportPatientsMax)
		l.detail = how + "; " + l.detail
		return l, err
	}
}

// insiderExport has the owner's finger: every step-up is answered, sessions begin
// anew, and no faster than a finger touches.
func insiderExport(ctx context.Context, g *ground) (loss, error) {
	p, err := g.bad()
	if err != nil {
		return unseen(), err
	}
	x := &export{g: g, touch: p.Passkey, pace: time.Second, order: g.patients,
		logins: func(ctx context.Context) (client.Login, error) { return lent(ctx, g.n, p) }}
	l, err := x.contained(ctx, insiderPatientsMax)
	l.who = p.Handle
	return l, err
}

// sharedCredential has two people use one passkey: the copy counts on where the
// owner stands too. From the second of them on keepers refuse and note it.
func sharedCredential(ctx context.Context, g *ground) (loss, error) {
	l := unseen()
	owner, err := g.bad()
	if err != nil {
		return l, err
	}
	colleague, err := g.hired(ctx, "ivo") // whose device the copy is used at
	if err != nil {
		return l, err
	}
	const stands = 5
	if _, err := g.asCounted(ctx, owner, owner.Device, stands); err != nil {
		return l, err
	}
	found, err := g.foundAll(ctx, abaton.ReasonCloned)
	if err != nil {
		return l, err
	}
	x := &export{g: g, order: g.patients[9:11], logins: func(ctx context.Context) (client.Login, error) {
		return g.asCounted(ctx, owner, colleague.Device, stands+1)
	}}
	if err := x.run(ctx); err != nil {
		return l, err
	}
	if _, err := g.asCounted(ctx, owner, owner.Device, stands+1); err == nil { // the owner's own next touch
		return l, errors.New("two devices counted to the same and were let in")
	}
	now, err := g.foundAll(ctx, abaton.ReasonCloned)
	if err != nil {
		return l, err
	}
	if now > found {
		l.seen = time.Since(x.began)
	}
	if _, err := g.org.Bar(ctx, g.org.net, owner.ID, 0, g.org.Manage); err != nil {
		return l, err
	}
	if l.stopped, err = g.refusedEverywhere(ctx, x); err != nil {
		return l, err
	}
	l.who = owner.Handle
	l.detail = fmt.Sprintf("%d keepers noted a copied passkey at the owner's next touch; the clinic then barred it", now-found)
	_, err = g.account(ctx, &l, x.began, x.haul, func(line *ledger.Entry) bool { return x.sessions[line.Session] })
	return l, err
}

// asCounted is a session of somebody at a device, with a passkey that has
// counted so far, begun at every keeper; the error is a keeper's refusal.
func (g *ground) asCounted(ctx context.Context, p *people.Person, device abaton.ActorID, count uint32) (client.Login, error) {
	as := *p
	as.Device, as.Passkey = device, p.Passkey.WithCount(count)
	l, err := lent(ctx, g.n, &as)
	if err != nil {
		return l, err
	}
	for i := range g.n.Set().Keepers {
		o, err := openAt(ctx, &asker{entry: &g.n.Set().Keepers[i], login: l})
		if err != nil {
			return l, err
		}
		o.wire.Close()
	}
	return l, nil
}

// foundAll counts a finding over all keepers.
func (g *ground) foundAll(ctx context.Context, reason abaton.Reason) (n int, err error) {
	for i := range g.n.Set().Keepers {
		s, err := g.stateOfKeeper(ctx, g.n.Set().Keepers[i].X)
		if err != nil {
			return 0, err
		}
		n += s.Findings[string(reason)]
	}
	return n, nil
}

// refusedEverywhere waits until an attacker's session gets nothing at any keeper.
func (g *ground) refusedEverywhere(ctx context.Context, x *export) (time.Duration, error) {
	l, err := x.logins(ctx)
	if err != nil {
		if _, refused := errors.AsType[*abaton.RefusedError](err); refused {
			return time.Since(x.began), nil
		}
		return -1, err
	}
	return g.stoppedFor(ctx, x, l)
}

// stoppedFor asks with one session until all five refuse.
func (g *ground) stoppedFor(ctx context.Context, x *export, login client.Login) (time.Duration, error) {
	ask, err := g.ask(ctx, x.order[0])
	if err != nil {
		return -1, err
	}
	rows, err := g.rows(ctx, ask)
	if err != nil {
		return -1, err
	}
	until := time.Now().Add(stopMax)
	for {
		asked := time.Since(x.began)
		words, err := g.everyKeeper(ctx, bypass{login: login, ask: ask, rows: rows})
		if err != nil {
			return -1, err
		}
		if !slices.ContainsFunc(words, func(w keeperWord) bool { return w.released }) {
			return asked, nil
		}
		if time.Now().After(until) {
			return -1, errors.New("some keepers still answer")
		}
	}
}

// snoopingColleague looks up one patient. No keeper can tell it from care: the
// patient sees it, and bars whoever it was.
func snoopingColleague(ctx context.Context, g *ground) (loss, error) {
	l := unseen()
	p, err := g.bad()
	if err != nil {
		return l, err
	}
	login, err := lent(ctx, g.n, p)
	if err != nil {
		return l, err
	}
	victim := g.patients[12]
	l.who = p.Handle
	x := &export{g: g, logins: once(login), order: []*people.Person{victim}}
	if err := x.run(ctx); err != nil {
		return l, err
	}
	h, err := g.history(ctx, victim)
	if err != nil {
		return l, err
	}
	if slices.ContainsFunc(h.Lines, func(line ledger.Line) bool { return x.sessions[line.Session] }) {
		l.seen = time.Since(x.began)
	}
	if err := g.bars(ctx, victim, p); err != nil {
		return l, err
	}
	if l.stopped, err = g.stoppedFor(ctx, x, login); err != nil {
		return l, err
	}
	l.detail = "the patient's own list showed it and the patient barred the reader; a single look without a reason, on shift, shows to no keeper. " + x.told()
	_, err = g.account(ctx, &l, x.began, x.haul, func(line *ledger.Entry) bool { return x.sessions[line.Session] })
	return l, err
}

// breakGlass opens emergency sets as a doctor who means no emergency, until
// keepers refuse.
func breakGlass(ctx context.Context, g *ground) (loss, error) {
	l, h := unseen(), newHaul()
	eve := g.staff[urgentHandle]
	l.who = eve.Handle
	lenders, closeAll, err := g.n.Lenders()
	if err != nil {
		return l, err
	}
	defer closeAll()
	began := time.Now()
	for _, p := range g.patients {
		set, err := g.n.People().OpenEmergency(ctx, g.org.net, eve, people.Urgent{Patient: p.ID, Why: session.CannotSpeak, Sole: true}, lenders)
		if reason := reasonIn(err); err != nil && reason == abaton.ReasonStorage {
			return l, err
		} else if err != nil {
			l.detail = fmt.Sprintf("refused: %s", reason)
			l.stopped = time.Since(began)
			break
		}
		h.patients[p.ID] = true
		for i := range set.Chart.Batches { // commit records too, which a chart leaves out
			h.add(set.Chart.Batches[i].Rows(), p.ID)
		}
		if l.seen < 0 {
			if l.seen, err = g.openingSeen(ctx, p, eve.ID, began); err != nil {
				return l, err
			}
		}
	}
	err = nil
	if len(h.patients) > abaton.EmergencyPersonMax {
		err = errors.Join(err, fmt.Errorf("not contained: %d patients, at most %d", len(h.patients), abaton.EmergencyPersonMax))
	}
	l.detail = fmt.Sprintf("%d sets opened, each in the patient's list at once and waiting for a second clinician's word; %s", len(h.patients), l.detail)
	_, bad := g.account(ctx, &l, began, h, by(eve.ID))
	return l, errors.Join(err, bad)
}

// openingSeen is when an opening first shows in what the keepers tell the patient.
func (g *ground) openingSeen(ctx context.Context, p *people.Person, who abaton.ActorID, began time.Time) (time.Duration, error) {
	h, err := g.history(ctx, p)
	if err != nil {
		return -1, err
	}
	if slices.ContainsFunc(h.Lines, func(l ledger.Line) bool { return l.Actor == who && l.Op == ledger.OpEmergency }) {
		return time.Since(began), nil
	}
	return -1, nil
}
