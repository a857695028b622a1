package actor_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/key"
)

// summary is everything a log copy says, in one order: two copies that say
// the same have the same summary.
func summary(s *actor.State) string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, p := range s.Heads() {
		add("head %d %x certified %t", p.Seq, p.Hash, s.IsCertified(p.Hash))
	}
	p, ok := s.Certified()
	add("tip %d %x %t", p.Seq, p.Hash, ok)
	for _, name := range names {
		add("key %s %d", name, s.KeyRights(signing(name).ID()))
		add("passkey %s %d", name, s.CredentialClass(cachedCredential(name)))
	}
	for id := range s.Grants() {
		add("grant %s", id)
	}
	for i := range 64 {
		g, revoked := s.Grant(abaton.GrantID{byte(i)})
		add("grant %d %t %t", i, g != nil, revoked)
		add("bar %d %t", i, s.Barred(abaton.ActorID{byte(i)}, epochStart))
		add("erased %d %x", i, s.Erased(abaton.BatchName{byte(i)}))
	}
	for _, l := range s.Lines() {
		add("line %s %d %d %s %t", l.Line, l.Level, l.Epoch, l.ID, l.Urgent)
		previous, ok := s.Previous(l.Line)
		add("previous %d %s %t", previous.Epoch, previous.ID, ok)
	}
	for _, m := range s.Members() {
		add("member %v", *m)
	}
	for _, team := range s.Teams() {
		add("team %x %d %x", team.Team, team.Epoch, team.Seats)
	}
	for _, d := range s.Duties(epochStart) {
		add("duty %v", *d)
	}
	for _, h := range s.Onwards(abaton.GrantID{}, epochStart) {
		add("onward %s of %s", h.ID, h.Parent)
	}
	add("stopped %t", s.Stopped())
	for id := range s.Escrows() {
		add("escrow %s", id)
	}
	for _, r := range s.Recoveries() {
		add("recovery %x %t %t", r.Event, r.Stopped, r.Done)
	}
	for _, r := range s.Registrars(epochStart) {
		add("registrar %v", *r)
	}
	for _, f := range s.Findings(epochStart) {
		add("finding %x %t %t", f.Event, f.Counts, f.Ended)
	}
	add("frozen %t stated %d", s.Frozen(), s.Stated(epochStart))
	rp, ok := s.RelyingParty()
	add("party %v %t", rp, ok)
	for _, at := range []int64{epochStart.Unix() - 1, epochStart.Unix(), epochStart.Unix() + 7200} {
		if p := s.Policy(at); p != nil {
			add("policy at %d: %d %x", at, p.Version, p.Text)
		}
	}
	add("policies %d", len(s.Policies()))
	if w := s.Watch(epochStart.Unix()); w != nil {
		add("watch %d %x", w.Version, w.Thresholds)
	}
	add("lifted %t", s.Lifted([32]byte{7}))
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// names are all the keys that tests add and remove.
var names = []string{"ana", "ana write", "org", "org write", "new key", "second", "stranger", "phone", "thief"}

func cachedCredential(name string) key.Credential { return cachedPublic(name).Credential() }

func cachedPublic(name string) key.Public {
	scalar := seed(name)
	p, err := key.ParsePasskey(scalar[:], party)
	if err != nil {
		panic("a test scalar is a valid passkey")
	}
	return p.Public()
}
