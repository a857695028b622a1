package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/gateway/login"
	"github.com/abaton-health/abaton/internal/people"
	"github.com/abaton-health/abaton/keeper"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/wire"
)

// asideDrills come from outside and leave the network whole.
func asideDrills() []drill {
	return []drill{
		{name: "enumeration", attack: "somebody who may sign in guesses names of patients and records at the gateway and at every keeper", run: enumeration},
		{name: "replay", attack: "an honest client's bytes are sent again: to the same keepers, to others, altered, after a restart", run: replayed},
		{name: "stolen-organisation-key", attack: "one of a hospital's managing keys, its alarm key and its attesting key each make up a doctor", run: stolenOrganisationKey},
		{name: "malicious-gateway", attack: "a gateway searches its disk, asks with its own keys, and answers an app with altered bytes", run: maliciousGateway},
		{name: "hostile-script", attack: "script is slipped into the sign-in page: inline, from elsewhere, as markup", silent: true, run: hostileScript},
	}
}

// guesses is how many names are tried at each place.
const guesses = 60

// enumeration guesses names. What is somebody else's must look like what is not
// there.
func enumeration(ctx context.Context, g *ground) (loss, error) {
	l := unseen()
	abe, err := g.hired(ctx, "abe")
	if err != nil {
		return l, err
	}
	real, err := g.chartNames(ctx, 6)
	if err != nil {
		return l, err
	}
	s, _, err := signIn(ctx, g.n, abe)
	if err != nil {
		return l, err
	}
	began := time.Now()
	shapes := make(map[string]int)
	for i := range guesses {
		name, kind := fmt.Sprintf("%032x", noise(16)), "random"
		if i < len(real) {
			name, kind = real[i], "somebody's"
		}
		shape, err := askedFor(ctx, s, name)
		if err != nil {
			return l, err
		}
		shapes[kind+" "+shape]++
		if l.seen < 0 {
			l.seen = time.Since(began)
		}
	}
	if len(shapes) != 2 {
		return l, fmt.Errorf("the gateway tells what is there from what is not: %d kinds of answers", len(shapes)-1)
	}
	asked, err := g.guessAtKeepers(ctx, abe)
	if err != nil {
		return l, err
	}
	l.stopped = l.seen
	l.detail = fmt.Sprintf("%d names at the gateway, %d questions at keepers: each refused, and what is another's looks like what is not there", guesses, asked)
	_, err = g.account(ctx, &l, began, newHaul(), by(abe.ID))
	return l, err
}

// chartNames are the gateway's names of so many patients.
func (g *ground) chartNames(ctx context.Context, n int) (names []string, err error) {
	for _, p := range g.patients[:n] {
		c, err := g.ownChart(ctx, p)
		if err != nil {
			return nil, err
		}
		for i := range c.Records {
			if e := &c.Records[i].Envelope; e.Type == "Patient" {
				names = append(names, e.ID)
				break // the emergency part has a copy
			}
		}
	}
	if len(names) != n {
		return nil, fmt.Errorf("%d of %d charts hold a Patient", len(names), n)
	}
	return names, nil
}

// askedFor is how the gateway answers for a name, with the name taken out.
func askedFor(ctx context.Context, s *people.Session, name string) (string, error) {
	r, err := s.Request(ctx, http.MethodGet, "/Patient/"+name, nil)
	if err != nil {
		return "", err
	}
	_, err = answered(r)
	refused, ok := errors.AsType[*people.GatewayError](err)
	if !ok {
		return "", fmt.Errorf("the gateway did not refuse: %w", err)
	}
	return fmt.Sprintf("%d %s", refused.Status, bytes.ReplaceAll([]byte(refused.Says), []byte(name), nil)), nil
}

// guessAtKeepers asks each keeper for batches nobody made, of patients that are
// and that are not, and for key logs by random names.
func (g *ground) guessAtKeepers(ctx context.Context, p *people.Person) (asked int, err error) {
	login, err := g.n.People().Direct(ctx, p, g.org.net)
	if err != nil {
		return 0, err
	}
	for i := range guesses / 6 {
		b := bypass{login: login, ask: client.Ask{Patient: abaton.ActorID(noise(32)), Purpose: abaton.Treatment}, rows: []client.Row{{Batch: abaton.BatchName(noise(len(abaton.BatchName{}))), Records: 1}}}
		b.ask.Grant = abaton.GrantID(noise(32))
		if i%2 == 0 {
			b.ask.Patient = g.patients[i].ID
		}
		words, err := g.everyKeeper(ctx, b)
		if err != nil {
			return asked, err
		}
		for x, w := range words {
			asked++
			if w.released || w.reason == abaton.ReasonStorage {
				return asked, fmt.Errorf("keeper %d did not refuse a guess: %s", x+1, w.reason)
			}
		}
	}
	return asked, nil
}

// replayed sends captured bytes again. Replies are sealed to the session whose key
// the attacker lacks, and the same request is one line in the list, however
// often and wherever it is sent.
func replayed(ctx context.Context, g *ground) (loss, error) {
	l, victim := unseen(), (*people.Person)(nil)
	victim, err := g.bad()
	if err != nil {
		return l, err
	}
	began := time.Now()
	captured, honest, err := g.captured(ctx, victim)
	if err != nil {
		return l, err
	}
	before, err := g.since(ctx, began, bySession(captured.login))
	if err != nil {
		return l, err
	}
	hostile := time.Now()
	if err := g.altered(ctx, captured); err != nil {
		return l, err
	}
	l.seen = time.Since(hostile)
	l.stopped = l.seen
	if err := g.resent(ctx, captured); err != nil {
		return l, err
	}
	if err := errors.Join(g.run.StopKeeper(1), g.whole(ctx)); err != nil {
		return l, err
	}
	if err := g.resent(ctx, captured); err != nil {
		return l, fmt.Errorf("after a restart: %w", err)
	}
	after, err := g.account(ctx, &l, began, honest, bySession(captured.login))
	if err != nil {
		return l, err
	}
	l.records, l.patients = 0, 0 // what honest holds the victim read
	if len(after.requests) != len(before.requests) {
		return l, fmt.Errorf("the replay made %d more requests", len(after.requests)-len(before.requests))
	}
	l.detail = "each reply stayed sealed, altered bytes were refused, the list of disclosures has not a line more; what is merely sent again needs no finding"
	return l, nil
}

// capture is what an eavesdropper beyond TLS has of an honest client.
type capture struct {
	login   client.Login // the victim's; the attacker uses Signed alone
	request []byte
}

// captured plays the honest client: three keepers' pieces of one patient.
func (g *ground) captured(ctx context.Context, victim *people.Person) (c *capture, honest *haul, err error) {
	c, honest = new(capture), newHaul()
	if c.login, err = lent(ctx, g.n, victim); err != nil {
		return nil, nil, err
	}
	ask, err := g.ask(ctx, g.patients[7])
	if err != nil {
		return nil, nil, err
	}
	rows, err := g.rows(ctx, ask)
	if err != nil {
		return nil, nil, err
	}
	id, err := (&asker{login: c.login}).session()
	if err != nil {
		return nil, nil, err
	}
	q := requestFor(id, ask, rows)
	c.request = q.Sign(c.login.Key)
	for i := range 3 {
		a := &asker{entry: &g.n.Set().Keepers[i], login: c.login}
		o, err := openAt(ctx, a)
		if err != nil {
			return nil, nil, err
		}
		reply, err := a.send(ctx, o.wire, o.channel, c.request)
		o.wire.Close()
		if err != nil || len(reply.Pieces) == 0 {
			return nil, nil, errors.Join(errors.New("the honest client got nothing"), err)
		}
	}
	honest.patients[ask.Patient] = true
	for _, row := range rows {
		honest.add(row, ask.Patient)
	}
	return c, honest, nil
}

// requestFor asks to release rows.
func requestFor(id abaton.SessionID, ask client.Ask, rows []client.Row) session.Request {
	q := session.Request{V: wire.Version, Session: id, Patient: ask.Patient, Grant: ask.Grant, Mode: session.Release, Purpose: ask.Purpose, Time: time.Now().Unix()}
	for _, row := range rows {
		q.Rows = append(q.Rows, session.Row{Batch: row.Batch, Bits: row.Records})
	}
	rand.Read(q.Nonce[:])
	return q
}

// resent sends both messages again to every keeper and tries to read the answers
// with keys of the attacker's own.
func (g *ground) resent(ctx context.Context, c *capture) error {
	own := *c
	own.login.Reply = key.NewBox()
	for i := range g.n.Set().Keepers {
		a := &asker{entry: &g.n.Set().Keepers[i], login: own.login}
		o, err := openAt(ctx, a)
		if err != nil {
			continue // no channel, no answer
		}
		_, err = a.send(ctx, o.wire, o.channel, c.request)
		o.wire.Close()
		if !errors.Is(err, session.ErrSealed) {
			return fmt.Errorf("keeper %d: the same request again: want an answer that stays sealed, got %w", i+1, err)
		}
	}
	return nil
}

// altered turns one bit of the request over; every keeper must refuse it.
func (g *ground) altered(ctx context.Context, c *capture) error {
	for i := range g.n.Set().Keepers {
		entry := &g.n.Set().Keepers[i]
		k, err := keeper.Dial(entry.URL, entry.SPKI)
		if err != nil {
			return err
		}
		_, err = k.Call(ctx, keeper.RouteSession, c.login.Signed)
		if err == nil {
			bent := bytes.Clone(c.request)
			bent[len(bent)/2] ^= 1
			if _, bad := k.Call(ctx, keeper.RouteRequest, bent); bad == nil {
				err = fmt.Errorf("keeper %d took altered bytes", i+1)
			}
		}
		k.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// stolenOrganisationKey makes up a doctor with one key of a hospital at a time,
// and tries what keepers let her ask.
func stolenOrganisationKey(ctx context.Context, g *ground) (loss, error) {
	l, h := unseen(), newHaul()
	w, err := people.Open(filepath.Join(g.dir, "hideout"), g.n.Set())
	if err != nil {
		return l, err
	}
	began := time.Now()
	made := make(map[abaton.ActorID]bool)
	for _, k := range []*key.Signing{g.org.Manage, g.org.Alarm, g.org.Attest} {
		one := *g.org.Person
		one.Manage, one.Managers, one.Attest, one.Alarm = k, nil, k, k
		mallory, refused, err := madeUp(ctx, w, g.org.net, &one)
		if err != nil {
			return l, err
		}
		if refused == nil {
			return l, errors.New("a clinician was taken on with one key")
		}
		if l.seen < 0 {
			l.seen = time.Since(began)
		}
		made[mallory.ID] = true
		got, err := g.asMadeUp(ctx, mallory, k)
		if err != nil {
			return l, err
		}
		h.join(got)
	}
	l.stopped = l.seen
	l.detail = "no key alone takes anybody on: keepers refused the membership, and each session and question of the made-up doctors"
	_, err = g.account(ctx, &l, began, h, madeOf(made))
	return l, err
}

// madeUp is a clinician of the thief's own making, whom one of an organisation's
// keys takes on as far as it goes; refused is why keepers did not take it.
func madeUp(ctx context.Context, w *people.World, net *client.Network, org *people.Person) (mallory *people.Person, refused, err error) {
	if mallory, err = w.NewClinician("mallory", "Mallory", org, abaton.RolePhysician); err != nil {
		return nil, nil, err
	}
	_, first := net.Publish(ctx, mallory.Event)
	_, second := people.TakeOn(ctx, net, org.HandOf(1), &actor.Member{Actor: mallory.ID, Roles: mallory.Roles,
		NotBefore: time.Now().Unix() - 60, Expires: time.Now().Unix() + 3600})
	if second == nil {
		return mallory, nil, nil
	}
	return mallory, errors.Join(first, second), nil
}

// asMadeUp tries to read a few patients as a clinician of the thief's own making,
// at a device whose keys the thief made too.
func (g *ground) asMadeUp(ctx context.Context, mallory *people.Person, vouches *key.Signing) (*haul, error) {
	own := key.NewSigning()
	posture := actor.Posture{Organisation: g.org.ID, Device: mallory.Device, Level: actor.Managed, From: time.Now().Unix() - 60, Until: time.Now().Unix() + 3600}
	at := &login.At{Device: mallory.Device, Key: own, Posture: posture.Sign(vouches)}
	l, err := begun(ctx, g.org.net, g.org.ID, login.Device{Actor: mallory.ID, Organisation: g.org.ID, Role: mallory.Roles[0], Passkey: mallory.Passkey, At: at})
	if err != nil {
		return nil, err
	}
	return g.few().ransack(ctx, l, mallory.Passkey)
}

// few is a robber who tries some of the patients: enough to see that nothing
// opens.
func (g *ground) few() *robber { return &robber{net: g.org.net, patients: g.patients[:3]} }
