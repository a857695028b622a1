package actor_test

import (
	"slices"
	"testing"
	"time"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
)

var (
	ben  = abaton.ActorID{7}
	carl = abaton.ActorID{8}
)

// member is half a year's membership from now on.
func (l *log) member(who abaton.ActorID, roles ...string) *actor.Member {
	slices.Sort(roles)
	return &actor.Member{Actor: who, Roles: roles, NotBefore: l.w.now.Unix(), Expires: l.w.now.Add(180 * 24 * time.Hour).Unix()}
}

func teamSeed(nonce byte, epoch uint32) key.Secret {
	return seed("team " + string(rune('a'+nonce)) + string(rune('a'+epoch)))
}

// team is the organisation's team of that nonce with these seats.
func (l *log) team(nonce byte, epoch uint32, seats ...abaton.ActorID) *actor.Team {
	n := [16]byte{nonce}
	t := &actor.Team{Team: actor.TeamID(l.st.Actor(), n), Nonce: n, Epoch: epoch, Delegable: true,
		Public: key.BoxFromSeed(teamSeed(nonce, epoch)).Public().Bytes()}
	for _, who := range seats {
		t.Seats = append(t.Seats, actor.Seat{Actor: who, Sealed: make([]byte, key.BoxOverhead+32)})
	}
	return t
}

func (l *log) duty(to, team abaton.ActorID) *actor.Duty {
	return &actor.Duty{To: to, Team: team, From: l.w.now.Unix(), Until: l.w.now.Add(8 * time.Hour).Unix(), Sealed: make([]byte, key.BoxOverhead+32)}
}

// foreignTeam is a team of another organisation than the log's.
func (l *log) foreignTeam() *actor.Team {
	t := l.team(1, 1, ben)
	t.Team[0] ^= 1
	return t
}

// hospital is an organisation that demands two managers; it has three.
func hospital(w *world) *log {
	w.t.Helper()
	in := w.inception(actor.Organisation, "org")
	in.Approvals = 2
	in.Keys = append(in.Keys, actor.Key{ID: signing("second").ID(), Rights: actor.Manage}, actor.Key{ID: signing("third").ID(), Rights: actor.Manage},
		actor.Key{ID: signing("alarm").ID(), Rights: actor.DeviceRight}, actor.Key{ID: signing("attest").ID(), Rights: actor.Attest})
	l := &log{w: w, st: new(actor.State)}
	a := w.authentic(actor.NewInception(w.now.Unix(), in), byKey("org"), byKey("second"))
	door := w.door()
	door.Admitted = func(abaton.ActorID) bool { return true }
	if err := l.st.Admit(a, door, w.now); err != nil {
		w.t.Fatalf("admit hospital: %v", err)
	}
	if err := l.st.Apply(a); err != nil {
		w.t.Fatal(err)
	}
	l.certifyAll()
	return l
}

// TestTwoPersonRule: what gives takes two different managers, what takes away
// one, and nothing makes it less.
func TestTwoPersonRule(t *testing.T) {
	gives := map[string]func(*log) actor.Body{
		"key": func(*log) actor.Body {
			return &actor.KeyAdd{Key: actor.Key{ID: signing("new key").ID(), Rights: actor.Manage}}
		},
		"credential": func(l *log) actor.Body {
			return &actor.CredentialAdd{Credential: actor.Credential{Public: passkey(t, "new passkey").Public(), Class: actor.Bound}}
		},
		"epoch":   func(l *log) actor.Body { return l.epoch(2) },
		"grant":   func(l *log) actor.Body { return l.granted(ben, 1) },
		"origins": func(*log) actor.Body { return &actor.Origins{RelyingParty: party} },
		"member":  func(l *log) actor.Body { return l.member(ben, abaton.RoleNurse) },
		"team":    func(l *log) actor.Body { return l.team(1, 1, ben) },
	}
	for name, make := range gives {
		for _, c := range []struct {
			by   []string
			want abaton.Reason
		}{
			{[]string{"org"}, abaton.ReasonApprovals},
			{[]string{"org", "org write"}, abaton.ReasonApprovals},
			{[]string{"org", "alarm", "attest"}, abaton.ReasonApprovals},
			{[]string{"org", "stranger"}, abaton.ReasonApprovals},
			{[]string{"stranger", "thief"}, abaton.ReasonCredential},
			{[]string{"org", "third"}, ""},
			{[]string{"org", "second", "third"}, ""},
		} {
			l := hospital(newWorld(t))
			var proofs []signer
			for _, k := range c.by {
				proofs = append(proofs, byKey(k))
			}
			if got := reason(admit(l, signed(l.event(make(l)), proofs...))); got != c.want {
				t.Errorf("%s by %v: got %q, want %q", name, c.by, got, c.want)
			}
		}
	}
	l := hospital(newWorld(t))
	for name, body := range map[string]actor.Body{
		"bar": &actor.Bar{Actor: ben}, "revoke": &actor.Revoke{Grant: abaton.GrantID{1}}, "key remove": &actor.KeyRemove{ID: signing("third").ID()},
		"erase": &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}}},
	} {
		if got := reason(admit(l, signed(l.event(body), byKey("org")))); got != "" {
			t.Errorf("%s by one: got %q, want admitted", name, got)
		}
	}
	// A manager who was removed does not count, even when two are left.
	l.add(&actor.KeyRemove{ID: signing("third").ID()}, byKey("second"))
	if got := reason(admit(l, signed(l.event(l.member(ben, abaton.RoleNurse)), byKey("org"), byKey("third")))); got != abaton.ReasonApprovals {
		t.Errorf("with a removed manager: got %q, want %q", got, abaton.ReasonApprovals)
	}
}

// TestVouchedNeedsTwo: a merge brings in no event that lacks the second
// manager.
func TestVouchedNeedsTwo(t *testing.T) {
	l := hospital(newWorld(t))
	base := l.st.Heads()[0]
	l.take(l.w.authentic(l.after(&actor.Bar{Actor: carl}, base), byKey("org")))
	alone := l.w.authentic(l.after(l.member(ben, abaton.RoleNurse), base), byKey("org"))
	merge := l.w.authentic(l.after(&actor.Merge{}, l.st.Heads()[0], placeOf(alone)), byKey("org"))
	if got := reason(l.st.AdmitBranch([]*actor.Authentic{alone}, merge, l.w.now)); got != abaton.ReasonApprovals {
		t.Errorf("a branch proved by one: got %q, want %q", got, abaton.ReasonApprovals)
	}
}

func TestApprovalsOfTheFirstEvent(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   actor.Kind
		change func(*actor.Inception)
		by     []string
		want   abaton.Reason
	}{
		{"none demanded", actor.Organisation, func(in *actor.Inception) { in.Approvals = 0 }, []string{"org"}, abaton.ReasonMalformed},
		{"three demanded", actor.Organisation, func(in *actor.Inception) { in.Approvals = 3 }, []string{"org"}, abaton.ReasonMalformed},
		{"two demanded of one manager", actor.Organisation, func(in *actor.Inception) { in.Approvals = 2 }, []string{"org"}, abaton.ReasonMalformed},
		{"two demanded, one signs", actor.Organisation, func(in *actor.Inception) {
			in.Approvals = 2
			in.Keys = append(in.Keys, actor.Key{ID: signing("second").ID(), Rights: actor.Manage})
		}, []string{"org"}, abaton.ReasonApprovals},
		{"two demanded, two sign", actor.Organisation, func(in *actor.Inception) {
			in.Approvals = 2
			in.Keys = append(in.Keys, actor.Key{ID: signing("second").ID(), Rights: actor.Manage})
		}, []string{"org", "second"}, ""},
		{"a patient demands", actor.Patient, func(in *actor.Inception) { in.Approvals = 1 }, []string{"org"}, abaton.ReasonMalformed},
	} {
		w := newWorld(t)
		in := w.inception(c.kind, "org")
		c.change(in)
		var proofs []signer
		for _, k := range c.by {
			proofs = append(proofs, byKey(k))
		}
		_, err := actor.Authenticate(signed(actor.NewInception(w.now.Unix(), in), proofs...), party)
		if got := reason(err); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestInvitedByTwo: staff and devices come in by two managers, patients by
// one key.
func TestInvitedByTwo(t *testing.T) {
	for _, c := range []struct {
		kind actor.Kind
		by   []string
		want abaton.Reason
	}{
		{actor.Clinician, []string{"org"}, ""},
		{actor.Device, []string{"org"}, abaton.ReasonInvitation},
		{actor.Agent, []string{"second"}, abaton.ReasonInvitation},
		{actor.Device, []string{"org", "org write"}, abaton.ReasonInvitation},
		{actor.Device, []string{"org", "org"}, abaton.ReasonInvitation},
		{actor.Device, []string{"org", "second"}, ""},
		{actor.Clinician, []string{"third", "second"}, ""},
		{actor.Clinician, []string{"attest"}, abaton.ReasonInvitation},
		{actor.Patient, []string{"org write"}, ""},
		{actor.Patient, []string{"attest"}, abaton.ReasonInvitation},
	} {
		w := newWorld(t)
		h := hospital(w)
		door := w.door()
		door.Admitted = func(abaton.ActorID) bool { return true }
		door.Organisation = func(abaton.ActorID) *actor.State { return h.st }
		in := w.inception(c.kind, "ana")
		in.Organisation = h.st.Actor()
		v := w.invitation(c.kind)
		v.Organisation = h.st.Actor()
		var keys []*key.Signing
		for _, k := range c.by {
			keys = append(keys, signing(k))
		}
		in.Invitation = v.Sign(keys...)
		a, err := actor.Authenticate(signed(actor.NewInception(w.now.Unix(), in), byKey("ana")), party)
		if err == nil {
			err = new(actor.State).Admit(a, door, w.now)
		}
		if got := reason(err); got != c.want {
			t.Errorf("kind %d invited by %v: got %q, want %q", c.kind, c.by, got, c.want)
		}
	}
}

// TestAlarmKey: it bars and does nothing else.
func TestAlarmKey(t *testing.T) {
	for name, c := range map[string]struct {
		make func(*log) actor.Body
		want abaton.Reason
	}{
		"bar":        {func(*log) actor.Body { return &actor.Bar{Actor: ben} }, ""},
		"revoke":     {func(*log) actor.Body { return &actor.Revoke{Grant: abaton.GrantID{1}} }, abaton.ReasonCredential},
		"erase":      {func(*log) actor.Body { return &actor.Erase{Rows: []actor.Row{{Batch: abaton.BatchName{1}, Bits: 1}}} }, abaton.ReasonCredential},
		"key remove": {func(*log) actor.Body { return &actor.KeyRemove{ID: signing("third").ID()} }, abaton.ReasonCredential},
		"member":     {func(l *log) actor.Body { return l.member(ben, abaton.RoleNurse) }, abaton.ReasonCredential},
		"team":       {func(l *log) actor.Body { return l.team(1, 1, ben) }, abaton.ReasonCredential},
		"grant":      {func(l *log) actor.Body { return l.granted(ben, 1) }, abaton.ReasonCredential},
	} {
		l := hospital(newWorld(t))
		for _, k := range []string{"alarm", "attest"} {
			want := c.want
			if k == "attest" {
				want = abaton.ReasonCredential
			}
			if got := reason(admit(l, signed(l.event(c.make(l)), byKey(k)))); got != want {
				t.Errorf("%s by the %s key: got %q, want %q", name, k, got, want)
			}
		}
	}
}

func TestMember(t *testing.T) {
	w := newWorld(t)
	l := w.org
	if l.st.Member(ben, w.now) != nil {
		t.Fatal("a member before the event")
	}
	a := w.authentic(l.event(l.member(ben, abaton.RolePhysician, abaton.RoleEmergency)), byKey("org"))
	l.take(a)
	if l.st.Member(ben, w.now) != nil {
		t.Error("a member without a certificate")
	}
	l.certify(a)
	m := l.st.Member(ben, w.now)
	if m == nil || !m.Holds(abaton.RoleEmergency) || m.Holds(abaton.RoleNurse) || m.Program() {
		t.Fatalf("member: got %+v", m)
	}
	if l.st.Member(ben, w.now.Add(-time.Second)) != nil || l.st.Member(ben, w.now.Add(180*24*time.Hour)) != nil {
		t.Error("a member before it begins, or when it is over")
	}
	l.add(l.member(ben, abaton.RoleNurse), byKey("org"))
	if m := l.st.Member(ben, w.now); m == nil || m.Holds(abaton.RolePhysician) {
		t.Errorf("the newest event: got %+v, want a nurse", m)
	}
	// A suspension holds for its time, leaving for ever, whatever comes after.
	l.take(w.authentic(l.event(&actor.Bar{Actor: ben, Until: w.now.Add(time.Hour).Unix()}), byKey("org")))
	if l.st.Member(ben, w.now) != nil || l.st.Member(ben, w.now.Add(time.Hour)) == nil {
		t.Error("suspended: want no member for an hour, on receipt")
	}
	l.take(w.authentic(l.event(&actor.Bar{Actor: ben}), byKey("org")))
	l.certifyAll()
	l.add(l.member(ben, abaton.RoleNurse), byKey("org"))
	if l.st.Member(ben, w.now.Add(2*time.Hour)) != nil {
		t.Error("who has left is a member again")
	}
	l.take(w.authentic(l.event(&actor.Bar{Actor: ben, Until: w.now.Add(time.Hour).Unix()}), byKey("org")))
	if l.st.BarredUntil(ben, w.now) <= w.now.Add(time.Hour).Unix() {
		t.Error("a shorter bar ended the longer")
	}
}

// TestBackdatedRoster: what an organisation writes later gives nothing before
// it was written, and what it wrote of long ago no longer than a year.
func TestBackdatedRoster(t *testing.T) {
	w := newWorld(t)
	l := w.org
	m := l.member(ben, abaton.RolePhysician)
	m.NotBefore = w.now.Add(-90 * 24 * time.Hour).Unix()
	before := summary(l.st)
	late := edit(l.event(m), func(e *actor.Event) { e.Time = w.now.Add(-time.Hour).Unix() })
	if got := reason(admit(l, signed(late, byKey("org")))); got != abaton.ReasonTime || summary(l.st) != before {
		t.Errorf("an event older than the one before it: got %q, want %q", got, abaton.ReasonTime)
	}
	l.add(m, byKey("org"))
	if l.st.Member(ben, w.now) == nil {
		t.Error("a roster that begins earlier holds now")
	}
	for name, c := range map[string]struct {
		change func(*actor.Member)
		want   abaton.Reason
	}{
		"over":        {func(m *actor.Member) { m.NotBefore, m.Expires = 1, w.now.Unix() }, abaton.ReasonMalformed},
		"ends now":    {func(m *actor.Member) { m.Expires, m.NotBefore = w.now.Unix(), w.now.Add(-time.Hour).Unix() }, abaton.ReasonExpired},
		"over a year": {func(m *actor.Member) { m.Expires = m.NotBefore + int64(actor.MemberLifeMax/time.Second) + 1 }, abaton.ReasonMalformed},
		"next year": {func(m *actor.Member) {
			m.NotBefore += int64(actor.MemberLifeMax / time.Second)
			m.Expires += int64(actor.MemberLifeMax / time.Second)
		}, abaton.ReasonTime},
		"of itself":      {func(m *actor.Member) { m.Actor = l.st.Actor() }, abaton.ReasonActor},
		"nobody":         {func(m *actor.Member) { m.Actor = abaton.ActorID{} }, abaton.ReasonMalformed},
		"no role":        {func(m *actor.Member) { m.Roles = nil }, abaton.ReasonMalformed},
		"unknown role":   {func(m *actor.Member) { m.Roles = []string{"king"} }, abaton.ReasonMalformed},
		"a role twice":   {func(m *actor.Member) { m.Roles = []string{"nurse", "nurse"} }, abaton.ReasonMalformed},
		"own sponsor":    {func(m *actor.Member) { m.Sponsor = m.Actor }, abaton.ReasonMalformed},
		"course no word": {func(m *actor.Member) { m.Trained = []actor.Training{{Course: "A B", Until: 5}} }, abaton.ReasonMalformed},
		"courses unsorted": {func(m *actor.Member) {
			m.Trained = []actor.Training{{Course: "b", Until: 5}, {Course: "a", Until: 5}}
		}, abaton.ReasonMalformed},
		"nine roles": {func(m *actor.Member) { m.Roles = make([]string, actor.RolesMax+1) }, abaton.ReasonTooLarge},
	} {
		m := l.member(carl, abaton.RoleNurse)
		c.change(m)
		if got := reason(admit(l, signed(l.event(m), byKey("org")))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestVouchedMemberRunsOut: what a merge brings in without being judged holds
// no longer than a year after it was written.
func TestVouchedMemberRunsOut(t *testing.T) {
	l := newWorld(t).org
	base := l.st.Heads()[0]
	l.take(l.w.authentic(l.after(&actor.Bar{Actor: carl}, base), byKey("org")))
	m := l.member(ben, abaton.RoleNurse)
	m.NotBefore += int64(actor.MemberLifeMax / time.Second)
	m.Expires = m.NotBefore + int64(actor.MemberLifeMax/time.Second)
	late := l.w.authentic(l.after(m, base), byKey("org"))
	merge := l.w.authentic(l.after(&actor.Merge{}, l.st.Heads()[0], placeOf(late)), byKey("org"))
	if err := l.st.AdmitBranch([]*actor.Authentic{late}, merge, l.w.now); err != nil {
		t.Fatal(err)
	}
	l.take(merge)
	l.certify(merge)
	if len(l.st.Members()) != 1 || l.st.Member(ben, time.Unix(m.NotBefore+1, 0)) != nil {
		t.Error("a membership begins more than a year after it was written")
	}
}

func TestTraining(t *testing.T) {
	m := &actor.Member{Trained: []actor.Training{{Course: "privacy", Until: 100}}}
	for _, c := range []struct {
		course string
		at     int64
		want   bool
	}{{"privacy", 99, true}, {"privacy", 100, false}, {"fire", 1, false}} {
		if got := m.TrainedIn(c.course, time.Unix(c.at, 0)); got != c.want {
			t.Errorf("%s at %d: got %t, want %t", c.course, c.at, got, c.want)
		}
	}
}

func TestTeam(t *testing.T) {
	w := newWorld(t)
	l := w.org
	team := l.team(1, 1, ben, carl)
	l.add(team, byKey("org"))
	l.add(l.member(ben, abaton.RolePhysician), byKey("org"))
	if !l.st.Seated(team.Team, ben, w.now) || l.st.Seated(team.Team, carl, w.now) || l.st.Seated(abaton.ActorID{1}, ben, w.now) {
		t.Error("seated: want the member with a seat, not who is no member, nor another team")
	}
	role := l.team(1, 1, ben, carl)
	role.Role = abaton.RoleNurse
	l.add(role, byKey("org"))
	if l.st.Seated(team.Team, ben, w.now) {
		t.Error("a physician sits in a team of nurses")
	}
	l.add(l.member(carl, abaton.RoleNurse), byKey("org"))
	if !l.st.Seated(team.Team, carl, w.now) {
		t.Error("a nurse has no seat in a team of nurses")
	}
	l.add(l.team(1, 2, ben), byKey("org"))
	if l.st.Seated(team.Team, carl, w.now) {
		t.Error("who lost the seat still sits")
	}
	if got := len(l.st.SeatSeeds(team.Team, ben)); got != 2 {
		t.Errorf("ben's seeds: got %d, want one of each epoch", got)
	}
	if got := l.st.SeatSeeds(team.Team, carl); len(got) != 1 || got[0].Epoch != 1 {
		t.Errorf("carl's seeds: got %d, want that of the first epoch", len(got))
	}
	l.take(w.authentic(l.event(&actor.Bar{Actor: ben}), byKey("org")))
	if l.st.Seated(team.Team, ben, w.now) {
		t.Error("who has left still sits")
	}
}

func TestTeamKeyMovesOn(t *testing.T) {
	for name, c := range map[string]struct {
		make func(*log) *actor.Team
		want abaton.Reason
	}{
		"one more seat":           {func(l *log) *actor.Team { return l.team(1, 1, ben, carl, abaton.ActorID{9}) }, ""},
		"drops a seat":            {func(l *log) *actor.Team { return l.team(1, 1, ben) }, abaton.ReasonEpoch},
		"drops a seat, new key":   {func(l *log) *actor.Team { return l.team(1, 2, ben) }, ""},
		"the old key as the new":  {func(l *log) *actor.Team { b := l.team(1, 2, ben); b.Public = l.team(1, 1).Public; return b }, abaton.ReasonEpoch},
		"another key, same epoch": {func(l *log) *actor.Team { b := l.team(1, 2, ben, carl); b.Epoch = 1; return b }, abaton.ReasonEpoch},
		"skips an epoch":          {func(l *log) *actor.Team { return l.team(1, 3, ben) }, abaton.ReasonEpoch},
		"begins at two":           {func(l *log) *actor.Team { return l.team(2, 2, ben) }, abaton.ReasonEpoch},
		"another's name":          {func(l *log) *actor.Team { b := l.team(2, 1, ben); b.Team[0] ^= 1; return b }, abaton.ReasonMalformed},
		"no key":                  {func(l *log) *actor.Team { b := l.team(2, 1, ben); b.Public = nil; return b }, abaton.ReasonMalformed},
		"bad key":                 {func(l *log) *actor.Team { b := l.team(2, 1, ben); b.Public = bad(b.Public); return b }, abaton.ReasonMalformed},
		"short seed":              {func(l *log) *actor.Team { b := l.team(2, 1, ben); b.Seats[0].Sealed = []byte{1}; return b }, abaton.ReasonMalformed},
		"a seat twice":            {func(l *log) *actor.Team { return l.team(2, 1, ben, ben) }, abaton.ReasonMalformed},
		"a role there is not":     {func(l *log) *actor.Team { b := l.team(2, 1, ben); b.Role = "king"; return b }, abaton.ReasonMalformed},
		"65 seats":                {func(l *log) *actor.Team { b := l.team(2, 1); b.Seats = make([]actor.Seat, actor.SeatsMax+1); return b }, abaton.ReasonTooLarge},
	} {
		l := newWorld(t).org
		l.add(l.team(1, 1, ben, carl), byKey("org"))
		if got := reason(admit(l, signed(l.event(c.make(l)), byKey("org")))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestTeamSeedTravels(t *testing.T) {
	team := abaton.ActorID{3}
	own, s := box("ben"), teamSeed(1, 1)
	public := key.BoxFromSeed(s).Public().Bytes()
	sealed, err := actor.SealTeamSeed(own.Public(), team, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := actor.OpenTeamSeed(own, team, public, sealed)
	if err != nil || string(got.Public().Bytes()) != string(public) {
		t.Fatalf("open: got %v", err)
	}
	other := key.BoxFromSeed(teamSeed(1, 2)).Public().Bytes()
	for name, open := range map[string]func() error{
		"another's box": func() error { _, err := actor.OpenTeamSeed(box("carl"), team, public, sealed); return err },
		"another team":  func() error { _, err := actor.OpenTeamSeed(own, abaton.ActorID{4}, public, sealed); return err },
		"another epoch": func() error { _, err := actor.OpenTeamSeed(own, team, other, sealed); return err },
		"a changed byte": func() error {
			s := slices.Clone(sealed)
			s[9] ^= 1
			_, err := actor.OpenTeamSeed(own, team, public, s)
			return err
		},
	} {
		if open() == nil {
			t.Errorf("%s: opens", name)
		}
	}
}

// TestDuty: a place is handed on for a shift, by who has it, to a colleague,
// and no further.
func TestDuty(t *testing.T) {
	w := newWorld(t)
	org := w.org
	anna := w.begin(w.inception(actor.Clinician, "ana"), byKey("ana"))
	anna.certifyAll()
	giver := anna.st.Actor()
	team := org.team(1, 1, giver)
	org.add(team, byKey("org"))
	org.add(org.member(giver, abaton.RolePhysician), byKey("org"))
	org.add(org.member(ben, abaton.RoleNurse), byKey("org"))
	org.add(org.member(carl, abaton.RoleNurse), byKey("org"))
	acts := func(who, behalf abaton.ActorID, colleague *actor.State, now time.Time) bool {
		return org.st.ActsFor(team.Team, who, behalf, colleague, now)
	}
	if !acts(giver, abaton.ActorID{}, nil, w.now) || acts(ben, abaton.ActorID{}, nil, w.now) || acts(ben, giver, anna.st, w.now) {
		t.Fatal("before the duty: want the seated alone")
	}
	anna.add(anna.duty(ben, team.Team), byPasskey(t, "ana"))
	if !acts(ben, giver, anna.st, w.now) {
		t.Error("the duty does not hold")
	}
	for name, no := range map[string]bool{
		"without naming whose place": acts(ben, abaton.ActorID{}, nil, w.now),
		"another colleague":          acts(carl, giver, anna.st, w.now),
		"in a third one's place":     acts(ben, carl, anna.st, w.now),
		"with no log":                acts(ben, giver, nil, w.now),
		"in the own place":           acts(giver, giver, anna.st, w.now),
		"before the shift":           acts(ben, giver, anna.st, w.now.Add(-time.Second)),
		"after the shift":            acts(ben, giver, anna.st, w.now.Add(8*time.Hour)),
		"who is no member":           acts(abaton.ActorID{99}, giver, anna.st, w.now),
		"another team":               org.st.ActsFor(abaton.ActorID{1}, ben, giver, anna.st, w.now),
		"handed on by the stand-in":  acts(carl, ben, anna.st, w.now),
	} {
		if no {
			t.Errorf("%s: acts for the team", name)
		}
	}
	fixed := org.team(1, 1, giver)
	fixed.Delegable = false
	org.add(fixed, byKey("org"))
	if acts(ben, giver, anna.st, w.now) {
		t.Error("a place in a team that is not delegable was handed on")
	}
	fixed.Delegable, fixed.Role = true, abaton.RolePhysician
	org.add(fixed, byKey("org"))
	if acts(ben, giver, anna.st, w.now) {
		t.Error("a nurse stands in where the team wants physicians")
	}
	fixed.Role = ""
	org.add(fixed, byKey("org"))
	short := anna.duty(ben, team.Team)
	short.Until = short.From + 1
	anna.add(short, byKey("ana"))
	if acts(ben, giver, anna.st, w.now.Add(time.Second)) {
		t.Error("the newest duty is over, and the one before it holds")
	}
	anna.add(anna.duty(ben, team.Team), byKey("ana"))
	if !acts(ben, giver, anna.st, w.now) {
		t.Error("a duty given again does not hold")
	}
	org.take(w.authentic(org.event(&actor.Bar{Actor: giver}), byKey("org")))
	if acts(ben, giver, anna.st, w.now) {
		t.Error("who has left is still stood in for")
	}
}

func TestDutyForms(t *testing.T) {
	w := newWorld(t)
	l := w.begin(w.inception(actor.Clinician, "ana"), byKey("ana"))
	l.certifyAll()
	for name, c := range map[string]struct {
		change func(*actor.Duty)
		want   abaton.Reason
	}{
		"a day":        {func(d *actor.Duty) { d.Until = d.From + int64(actor.DutyLifeMax/time.Second) }, ""},
		"over a day":   {func(d *actor.Duty) { d.Until = d.From + int64(actor.DutyLifeMax/time.Second) + 1 }, abaton.ReasonMalformed},
		"ends first":   {func(d *actor.Duty) { d.Until = d.From }, abaton.ReasonMalformed},
		"to nobody":    {func(d *actor.Duty) { d.To = abaton.ActorID{} }, abaton.ReasonMalformed},
		"of no team":   {func(d *actor.Duty) { d.Team = abaton.ActorID{} }, abaton.ReasonMalformed},
		"to herself":   {func(d *actor.Duty) { d.To = l.st.Actor() }, abaton.ReasonActor},
		"without seed": {func(d *actor.Duty) { d.Sealed = nil }, abaton.ReasonMalformed},
	} {
		d := l.duty(ben, carl)
		c.change(d)
		if got := reason(admit(l, signed(l.event(d), byKey("ana")))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestStop: from receipt on nothing of the actor's is live, and nothing comes
// after it.
func TestStop(t *testing.T) {
	w := newWorld(t)
	for _, kind := range []actor.Kind{actor.Clinician, actor.Device, actor.Agent} {
		l := w.begin(w.inception(kind, "ana"), byKey("ana"))
		l.certifyAll()
		l.take(w.authentic(l.event(new(actor.Stop)), byKey("ana write")))
		if !l.st.Stopped() || l.st.KeyRights(signing("ana").ID()) != 0 || l.st.CredentialClass(cachedCredential("ana")) != 0 {
			t.Errorf("kind %d: something is live after the stop", kind)
		}
		l.certifyAll()
		add := &actor.KeyAdd{Key: actor.Key{ID: signing("new key").ID(), Rights: actor.Manage}}
		if got := reason(admit(l, signed(l.event(add), byKey("ana")))); got != abaton.ReasonCredential {
			t.Errorf("kind %d: a key after the stop: got %q, want %q", kind, got, abaton.ReasonCredential)
		}
	}
	for _, l := range []*log{w.org, w.patient("carl")} {
		for _, k := range []string{"org", "carl"} {
			if got := reason(admit(l, signed(l.event(new(actor.Stop)), byKey(k)))); got != abaton.ReasonCredential {
				t.Errorf("kind %d stopped by %s: got %q, want %q", l.st.Kind(), k, got, abaton.ReasonCredential)
			}
		}
	}
}

func TestPosture(t *testing.T) {
	w := newWorld(t)
	h := hospital(w)
	device := abaton.ActorID{4}
	good := actor.Posture{Organisation: h.st.Actor(), Device: device, Level: actor.Managed, From: w.now.Unix(), Until: w.now.Add(time.Hour).Unix()}
	for name, c := range map[string]struct {
		change func(*actor.Posture)
		by     string
		now    time.Time
		form   bool
		want   bool
	}{
		"good":                 {nil, "attest", w.now, true, true},
		"last second":          {nil, "attest", w.now.Add(time.Hour - time.Second), true, true},
		"run out":              {nil, "attest", w.now.Add(time.Hour), true, false},
		"from the future":      {nil, "attest", w.now.Add(-abaton.ClockSkewMax - time.Second), true, false},
		"by a manager":         {nil, "org", w.now, true, false},
		"by a stranger":        {nil, "stranger", w.now, true, false},
		"another organisation": {func(p *actor.Posture) { p.Organisation[0] ^= 1 }, "attest", w.now, true, false},
		"no level":             {func(p *actor.Posture) { p.Level = 0 }, "attest", w.now, false, false},
		"level four":           {func(p *actor.Posture) { p.Level = 4 }, "attest", w.now, false, false},
		"over a day":           {func(p *actor.Posture) { p.Until = p.From + int64(actor.PostureLifeMax/time.Second) + 1 }, "attest", w.now, false, false},
		"no device":            {func(p *actor.Posture) { p.Device = abaton.ActorID{} }, "attest", w.now, false, false},
	} {
		p := good
		if c.change != nil {
			c.change(&p)
		}
		got, err := actor.ParsePosture(p.Sign(signing(c.by)))
		if (err == nil) != c.form || !c.form && reason(err) != abaton.ReasonDevice {
			t.Errorf("%s: form: got %v, want %t", name, err, c.form)
			continue
		}
		if c.form && h.st.Vouches(got, c.now) != c.want {
			t.Errorf("%s: vouches: got %t, want %t", name, !c.want, c.want)
		}
	}
	signed := good.Sign(signing("attest"))
	signed[len(signed)-1] ^= 1
	if _, err := actor.ParsePosture(signed); reason(err) != abaton.ReasonDevice {
		t.Errorf("forged: got %v, want %q", err, abaton.ReasonDevice)
	}
	p, _ := actor.ParsePosture(good.Sign(signing("attest")))
	h.take(w.authentic(h.event(&actor.KeyRemove{ID: signing("attest").ID()}), byKey("org")))
	if h.st.Vouches(p, w.now) || (&actor.State{}).Vouches(p, w.now) || h.st.Vouches(nil, w.now) {
		t.Error("a removed key, an empty log or no posture vouches")
	}
}

func FuzzParsePosture(f *testing.F) {
	f.Add(actor.Posture{Organisation: abaton.ActorID{1}, Device: abaton.ActorID{2}, Level: actor.Known, From: 1, Until: 2}.Sign(signing("org")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := actor.ParsePosture(data); err == nil && (p.Device == (abaton.ActorID{}) || p.Level == 0) {
			t.Error("a posture of nothing")
		}
	})
}

func TestRoles(t *testing.T) {
	all := abaton.Roles()
	if !slices.IsSortedFunc(all, func(a, b abaton.Role) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	}) {
		t.Error("roles are not sorted by name")
	}
	for _, r := range all {
		if got, ok := abaton.RoleOf(r.Name); !ok || got != r {
			t.Errorf("role %q is not found", r.Name)
		}
	}
	for _, name := range []string{abaton.RoleAdministrator, abaton.RoleSecurityOfficer, "king", ""} {
		if r, _ := abaton.RoleOf(name); r.Reads {
			t.Errorf("role %q reads", name)
		}
	}
}
