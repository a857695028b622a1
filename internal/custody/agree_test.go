package custody_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/grant"
	"github.com/abaton-health/abaton/internal/custody"
	"github.com/abaton-health/abaton/internal/custody/custodytest"
	"github.com/abaton-health/abaton/internal/dice"
	"github.com/abaton-health/abaton/internal/store"
	"github.com/abaton-health/abaton/key"
	"github.com/abaton-health/abaton/seal"
	"github.com/abaton-health/abaton/session"
	"github.com/abaton-health/abaton/spread"
	"github.com/abaton-health/abaton/wire"
)

// Five keepers that hold the same logs, whatever the order in which these came
// to them, give one verdict and one reason for one question. Lives are thrown
// with dice; a life on which they differ is made as short as it gets.

// act is one thing that happens in a life; n says to whom or how.
type act struct {
	what string
	n    int
}

// life is a seed and what happens in it.
type life struct {
	seed uint64
	acts []act
}

// throw makes a life of so many acts.
func throw(seed uint64, n int) life {
	d := dice.New(seed)
	l := life{seed: seed}
	for range n {
		l.acts = append(l.acts, act{what: dice.Pick(d, happenings), n: d.Below(8)})
	}
	return l
}

var happenings = []string{"grant", "grant", "short grant", "revoke", "bar", "bar for a minute", "team", "team grant", "join", "leave",
	"role", "suspend", "policy", "epoch", "erase", "passkey gone", "device gone", "second end", "merge", "deposit",
	"silence", "neighbour", "policy", "grant"}

// told5 is one statement on its way to five keepers.
type told5 struct {
	event     *actor.Authentic
	certified bool
}

// circle5 is five cores and what they are told and asked.
type circle5 struct {
	t          *testing.T
	set        *actor.Set
	ids        []custodytest.Identity
	now        time.Time
	cores      []*custody.Core
	org        *custodytest.Person
	doctors    []*custodytest.Person
	ana        *custodytest.Person
	grants     []*grant.Grant
	teams      []*actor.Team
	sealed     []*seal.Sealed
	statements []told5
	policies   uint64
	ends       []actor.SignedEvent // bars on branches, not merged yet
	before     custodytest.Person  // the patient as of an earlier event
	bea        *custodytest.Person // another patient, once there is one
	beas       map[abaton.ActorID]abaton.GrantID
	silent     bool                                     // nobody was heard for longer than a lease
	answers    map[string]int                           // what the first keeper said, how often
	keep       func(x abaton.KeeperIndex, s told5) bool // nil: all of it is told to everybody
}

// circleOf plays a life up to the moment when everything was said once.
func circleOf(t *testing.T, l life, mutant custody.Mutation) *circle5 {
	t.Helper()
	c := &circle5{t: t, now: time.Now(), answers: make(map[string]int)}
	c.set, c.ids = custodytest.NewSet(t, 5)
	c.org = custodytest.NewOrganisation(t, c.set)
	for i, id := range c.ids {
		s, err := store.New(store.NewMemory(), store.NewMemory())
		if err != nil {
			t.Fatal(err)
		}
		cfg := custody.Config{Set: c.set, Index: abaton.KeeperIndex(i + 1), Incarnation: id.Incarnation, Key: id.Key, Box: id.Box, Store: s,
			Admitted: []abaton.ActorID{c.org.ID}, Budget: custody.Budget{PatientsPerHour: 1, PatientsPerDay: 10}}
		if i == 2 {
			cfg.Mutation = mutant
		}
		core, err := custody.CoreAt(cfg, c.now)
		if err != nil {
			t.Fatal(err)
		}
		c.cores = append(c.cores, core)
	}
	c.hear()
	c.say(c.org.Inception)
	for range 2 {
		d := custodytest.NewClinician(t, c.set, c.org)
		c.doctors = append(c.doctors, d)
		c.say(d.Inception)
		c.say(d.Device.Inception)
		c.say(c.org.Event(c.org.Member(d.ID, d.Role)))
	}
	c.say(c.org.Event(c.org.Member(officer, abaton.RoleSecurityOfficer)))
	level := uint8(1)
	if l.seed%4 == 3 {
		level = 3
	}
	c.ana = custodytest.NewPatient(t, c.set, c.org, level)
	c.say(c.ana.Inception)
	c.before = *c.ana
	for _, a := range l.acts {
		c.happens(a)
	}
	return c
}

// hear lets each keeper hear all others.
func (c *circle5) hear() {
	for i, core := range c.cores {
		for x := range c.cores {
			if x != i {
				core.Step(c.now, []custody.Input{custody.Heard{Peer: abaton.KeeperIndex(x + 1)}})
			}
		}
	}
}

// say has an event certified.
func (c *circle5) say(e actor.SignedEvent) {
	c.t.Helper()
	a, err := actor.Authenticate(e, c.set.RelyingParty)
	if err != nil {
		c.t.Fatalf("an event of a life: %v", err)
	}
	c.statements = append(c.statements, told5{event: a, certified: true})
}

// bare tells an event without a certificate.
func (c *circle5) bare(e actor.SignedEvent) {
	c.t.Helper()
	a, err := actor.Authenticate(e, c.set.RelyingParty)
	if err != nil {
		c.t.Fatalf("an event of a life: %v", err)
	}
	c.statements = append(c.statements, told5{event: a})
}

func (c *circle5) happens(a act) {
	who := c.doctors[a.n%2]
	switch a.what {
	case "grant", "short grant", "team grant":
		c.gives(a, who.ID)
	case "revoke":
		if len(c.grants) > 0 {
			c.bare(c.ana.Event(&actor.Revoke{Grant: c.grants[a.n%len(c.grants)].ID()}))
			c.certifyLast()
		}
	case "bar":
		c.bare(c.ana.Event(&actor.Bar{Actor: who.ID}))
		c.certifyLast()
	case "bar for a minute":
		c.say(c.ana.Event(&actor.Bar{Actor: who.ID, Until: c.now.Unix() + int64(a.n%2*120-60)}))
	case "team":
		team := c.org.Team(byte(len(c.teams)+1), who.ID)
		c.teams = append(c.teams, team)
		c.say(c.org.Event(team))
	case "leave":
		if len(c.teams) > 0 {
			next := c.org.Team(byte(len(c.teams)), c.doctors[1].ID)
			next.Epoch, next.Public = 2+uint32(len(c.statements)), key.NewBox().Public().Bytes()
			c.say(c.org.Event(next))
		}
	case "join":
		c.say(c.org.Event(c.org.Member(who.ID, abaton.RoleNurse, abaton.RolePhysician)))
	case "role":
		m := c.org.Member(who.ID, abaton.RoleNurse)
		m.NotBefore += int64(a.n%2) * 600
		c.say(c.org.Event(m))
	case "suspend":
		if a.n < 2 {
			c.bare(c.org.Event(&actor.Bar{Actor: who.ID, Until: c.now.Unix() + int64(a.n*120-60)}))
			c.certifyLast()
		}
	case "policy":
		c.policies++
		text := permitAll
		if a.n%4 == 0 {
			text += `@id("no-lists") @why("None.") forbid (principal, action == Action::"list", resource);`
		}
		c.say(c.org.Event(policyOf(c.policies, text)))
	case "epoch":
		c.say(c.ana.Event(c.ana.Line(abaton.Category{byte(len(c.statements)), byte(len(c.statements) >> 8)}, 1)))
	case "erase":
		if len(c.sealed) > 0 {
			c.say(c.ana.Event(&actor.Erase{Rows: []actor.Row{{Batch: c.sealed[a.n%len(c.sealed)].Name, Bits: 1}}}))
		}
	case "passkey gone":
		if a.n == 0 {
			c.bare(who.Event(&actor.CredentialRemove{Name: who.Passkey.Credential()}))
		}
	case "device gone":
		if a.n == 1 {
			c.bare(who.Device.Event(&actor.Stop{}))
		}
	case "second end":
		was := c.before
		end := was.Event(&actor.Bar{Actor: abaton.ActorID{0xbb, byte(len(c.statements))}})
		c.bare(end)
		c.ends = append(c.ends, end)
		c.before = *c.ana
	case "merge":
		if len(c.ends) > 0 {
			main := c.ana.Event(&actor.Bar{Actor: abaton.ActorID{0xcc, byte(len(c.statements))}})
			c.say(main)
			c.say(c.ana.Merge(main, c.ends[len(c.ends)-1]))
			c.ends = nil
			c.before = *c.ana
		}
	case "silence":
		c.silent = a.n == 0
	case "neighbour":
		c.neighbour()
	case "deposit":
		w := &world{Network: &custodytest.Network{Set: c.set}, org: c.org, ana: c.ana}
		c.sealed = append(c.sealed, w.seals(c.t, uint64(len(c.sealed)+1), 1+a.n%3))
	}
}

// neighbour is a second patient, whom both clinicians may read: a keeper lets
// one open one patient an hour here.
func (c *circle5) neighbour() {
	if c.bea != nil {
		return
	}
	c.bea, c.beas = custodytest.NewPatient(c.t, c.set, c.org, 1), make(map[abaton.ActorID]abaton.GrantID)
	c.say(c.bea.Inception)
	for _, d := range c.doctors {
		g := c.bea.Grant(d.ID, grant.Read, 5)
		c.beas[d.ID] = g.ID()
		c.say(c.bea.Event(&actor.Granted{Grant: g.Marshal()}))
	}
}

// certifyLast tells the last event once more, certified.
func (c *circle5) certifyLast() {
	c.say(c.statements[len(c.statements)-1].event.Signed())
}

func (c *circle5) gives(a act, to abaton.ActorID) {
	g := c.ana.Grant(to, grant.Read, uint32(1+a.n))
	if a.what == "team grant" {
		if len(c.teams) == 0 {
			return
		}
		g.Grantee = c.teams[a.n%len(c.teams)].Team
	}
	if a.what == "short grant" { // not begun yet
		g.NotBefore += 600
	}
	if a.n == 7 {
		g.Purposes = []abaton.Purpose{abaton.Operations}
	}
	c.grants = append(c.grants, g)
	c.say(c.ana.Event(&actor.Granted{Grant: g.Marshal()}))
}

// deliver tells each keeper everything, each in an order of its own, again and
// again until nothing more is taken, as their feeds do.
func (c *circle5) deliver(d *dice.Dice) {
	for i, core := range c.cores {
		var todo []told5
		for _, n := range d.Order(len(c.statements)) {
			if s := c.statements[n]; c.keep == nil || c.keep(abaton.KeeperIndex(i+1), s) {
				todo = append(todo, s)
			}
		}
		for moved := true; moved; {
			moved = false
			todo = slices.DeleteFunc(todo, func(s told5) bool {
				out := core.Step(c.now, []custody.Input{c.input(abaton.KeeperIndex(i+1), s)})
				taken := out[0].Err == nil || !s.certified && actor.Narrows(s.event.Kind()) && out[0].Reason == abaton.ReasonSlot
				moved = moved || taken
				return taken
			})
		}
	}
}

// input is a statement as keeper x gets it. The votes are those of the four
// others: one that met its own, and did not remember it, would stop.
func (c *circle5) input(x abaton.KeeperIndex, s told5) custody.Input {
	if !s.certified {
		return custody.Publish{Event: s.event}
	}
	place := actor.Place{Actor: s.event.Actor(), Seq: s.event.Event().Seq, Hash: s.event.Hash()}
	var votes []actor.Vote
	for y := abaton.KeeperIndex(1); y <= 5; y++ {
		if y != x {
			votes = append(votes, actor.SignVote(c.set.ID(), y, c.ids[y-1].Key, place))
		}
	}
	cert := actor.NewCertificate(place, votes)
	counted, err := cert.Verify(c.set)
	if err != nil {
		c.t.Fatal(err)
	}
	return custody.Certify{Event: s.event, Certificate: cert, Certified: counted}
}

// sessionOf is an authentic session of a person.
func (c *circle5) sessionOf(p *custodytest.Person) (*session.Session, *key.Signing) {
	c.t.Helper()
	k := key.NewSigning()
	st := session.Statement{V: wire.Version, Actor: p.ID, Credential: p.Passkey.Credential(), Key: k.ID(), Reply: key.NewBox().Public().Bytes(),
		NotBefore: c.now.Unix(), Expires: c.now.Unix() + 600, Set: c.set.ID(), Checkpoints: [][]byte{{1}}}
	rand.Read(st.Nonce[:])
	if p.Device != nil {
		st.Organisation, st.Role, st.Device = c.org.ID, p.Role, p.Device.ID
	}
	signed := &session.Signed{Statement: st.Marshal()}
	id := session.Challenge(signed.Statement)
	a, err := p.Passkey.Assert(id)
	if err != nil {
		c.t.Fatal(err)
	}
	signed.Assertion = *a
	if p.Device != nil {
		signed.Device, signed.Posture = session.DeviceProof(p.Device.Writer, id), p.Vouch(c.now)
	}
	s, err := session.Authenticate(signed, c.set.RelyingParty)
	if err != nil {
		c.t.Fatal(err)
	}
	return s, k
}

// differ hands in every batch, asks every question of every keeper, and tells
// what they do not agree on; empty: nothing.
func (c *circle5) differ() string {
	for i, s := range c.sealed {
		if at := c.compare(func(core *custody.Core, x abaton.KeeperIndex) string {
			u, err := spread.Check(s.Uploads[x-1], spread.FiveKeepers(), c.set.ID(), x)
			if err != nil {
				c.t.Fatal(err)
			}
			return string(core.Step(c.now, []custody.Input{custody.Deposit{Upload: u}})[0].Reason)
		}); at != "" {
			return fmt.Sprintf("deposit %d: %s", i, at)
		}
	}
	for _, p := range []*custodytest.Person{c.doctors[0], c.doctors[1], c.ana} {
		s, k := c.sessionOf(p)
		for i, q := range c.questions(p) {
			q.V, q.Session, q.Time = wire.Version, s.ID(), c.now.Unix()
			rand.Read(q.Nonce[:])
			asked, err := session.ParseRequest(q.Sign(k))
			if err != nil {
				c.t.Fatal(err)
			}
			at := c.compare(func(core *custody.Core, _ abaton.KeeperIndex) string {
				out := core.Step(c.now, []custody.Input{custody.Request{Session: s, Asked: asked, Party: c.set.RelyingParty}})[0]
				return fmt.Sprintf("%d %q %d rows %d lines ledgered %t", out.Outcome, out.Reason, granted5(out.Granted), len(out.Lines), out.Ledgered)
			})
			if at != "" {
				return fmt.Sprintf("question %d, mode %d: %s", i, q.Mode, at)
			}
		}
	}
	return ""
}

// granted5 is how many records rows give.
func granted5(rows []custody.Row) (n int) {
	for _, r := range rows {
		for b := r.Records; b != 0; b &= b - 1 {
			n++
		}
	}
	return n
}

// questions are what a person asks: each grant, two purposes, every mode that
// reads.
func (c *circle5) questions(p *custodytest.Person) (all []session.Request) {
	line := []abaton.Line{c.ana.Root.Line(custodytest.General)}
	ids, purposes := []abaton.GrantID{{}}, []abaton.Purpose{abaton.PatientAccess}
	if id, known := c.beas[p.ID]; known {
		all = append(all, session.Request{Patient: c.bea.ID, Grant: id, Purpose: abaton.Treatment, Mode: session.List,
			Lines: []abaton.Line{c.bea.Root.Line(custodytest.General)}})
	}
	if p != c.ana {
		ids, purposes = nil, []abaton.Purpose{abaton.Treatment, abaton.Operations}
		for _, g := range c.grants {
			ids = append(ids, g.ID())
		}
		ids = append(ids, abaton.GrantID{0xee})
	}
	for _, id := range ids {
		for _, why := range purposes {
			q := session.Request{Patient: c.ana.ID, Grant: id, Purpose: why}
			list := q
			list.Mode, list.Lines = session.List, line
			all = append(all, list)
			for _, s := range c.sealed {
				for _, m := range []session.Mode{session.Permit, session.Release} {
					row := q
					row.Mode, row.Rows = m, []session.Row{{Batch: s.Name, Bits: 0b0111}}
					all = append(all, row)
				}
			}
		}
	}
	return all
}

// compare asks each keeper and tells the first answer that is another.
func (c *circle5) compare(ask func(*custody.Core, abaton.KeeperIndex) string) string {
	first := ask(c.cores[0], 1)
	c.answers[first]++
	for i, core := range c.cores[1:] {
		if got := ask(core, abaton.KeeperIndex(i+2)); got != first {
			return fmt.Sprintf("keeper 1 says %s, keeper %d says %s", first, i+2, got)
		}
	}
	return ""
}

// disagreement plays a life to its end.
func disagreement(t *testing.T, l life, mutant custody.Mutation, keep func(abaton.KeeperIndex, told5) bool) string {
	t.Helper()
	at, _ := played(t, l, mutant, keep)
	return at
}

func played(t *testing.T, l life, mutant custody.Mutation, keep func(abaton.KeeperIndex, told5) bool) (string, map[string]int) {
	t.Helper()
	c := circleOf(t, l, mutant)
	c.keep = keep
	c.deliver(dice.New(l.seed ^ 1<<63))
	c.hear()
	if c.silent {
		c.now = c.now.Add(abaton.LeaseMax + time.Second)
	}
	return c.differ(), c.answers
}

// shortened takes acts out of a life while the keepers still differ on it.
func shortened(l life, differ func(life) string) life {
	for i := 0; i < len(l.acts); {
		less := life{seed: l.seed, acts: slices.Delete(slices.Clone(l.acts), i, i+1)}
		if differ(less) != "" {
			l = less
		} else {
			i++
		}
	}
	return l
}

// lives are one that is told, for what chance seldom brings, and then thrown ones.
func lives(n int) []life {
	all := []life{{acts: []act{{"neighbour", 0}, {"grant", 0}, {"grant", 1}}}}
	for seed := range uint64(n) {
		all = append(all, throw(seed, 16))
	}
	return all
}

// TestFiveKeepersAgree: whatever happened, and in whatever order they heard of
// it, five keepers give one verdict for one reason.
func TestFiveKeepersAgree(t *testing.T) {
	t.Parallel()
	n := thrown
	if testing.Short() {
		n = 5
	}
	reasons, asked := make(map[string]int), 0
	for _, l := range lives(n) {
		at, answers := played(t, l, custody.Mutation{}, nil)
		if at != "" {
			l = shortened(l, func(l life) string { return disagreement(t, l, custody.Mutation{}, nil) })
			t.Fatalf("seed %d: %s\nafter %v", l.seed, at, l.acts)
		}
		for a, n := range answers {
			asked += n
			if parts := strings.Split(a, `"`); len(parts) == 3 {
				reasons[parts[1]] += n
			}
		}
	}
	t.Logf("%d thrown lives, %d questions, %d reasons: %v", n, asked, len(reasons), reasons)
	for _, want := range []abaton.Reason{"", abaton.ReasonRevoked, abaton.ReasonExpired, abaton.ReasonBarred, abaton.ReasonPurpose, abaton.ReasonStanding, abaton.ReasonGrant,
		abaton.ReasonPolicy, abaton.ReasonBudget, abaton.ReasonStepUp, abaton.ReasonLease, abaton.ReasonDevice, abaton.ReasonCredential} {
		if reasons[string(want)] == 0 && n == 20 {
			t.Errorf("no life came to %q: the property shows less than it seems", want)
		}
	}
}

// TestAKeeperThatMissedSomethingDiffers: the property sees a keeper that was
// not told what the others were.
func TestAKeeperThatMissedSomethingDiffers(t *testing.T) {
	l := life{acts: []act{{what: "grant", n: 2}, {what: "revoke"}}}
	deaf := func(x abaton.KeeperIndex, s told5) bool { return x != 4 || s.event.Kind() != actor.EventRevoke }
	if at := disagreement(t, l, custody.Mutation{}, deaf); at == "" {
		t.Error("a keeper that never heard of a revocation: got one verdict of all five, want another")
	}
	if at := disagreement(t, l, custody.Mutation{}, nil); at != "" {
		t.Errorf("all were told: %s", at)
	}
}
