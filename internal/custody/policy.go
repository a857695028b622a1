package custody

import (
	"fmt"
	"slices"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/internal/policy"
	"github.com/abaton-health/abaton/ledger"
	"github.com/abaton-health/abaton/session"
)

// policySetsMax bounds the parsed policies held in memory, one for each
// organisation admitted here and its next version.
const policySetsMax = 256

// policySets are the parsed policies of this keeper's organisations, by text
// and time. What they decide is never remembered.
type policySets struct {
	schema   *policy.Schema
	baseline *policy.Set
	parsed   map[policyName]*policy.Set
}

type policyName struct {
	text      policy.ID
	version   uint64
	from, end int64
}

func newPolicySets() (*policySets, error) {
	s, err := policy.NewSchema()
	if err != nil {
		return nil, err
	}
	baseline, err := policy.Baseline(s)
	if err != nil {
		return nil, err
	}
	return &policySets{schema: s, baseline: baseline, parsed: make(map[policyName]*policy.Set)}, nil
}

// of is the set in force in an organisation: what it published, or else the
// baseline. An error where what it published cannot be read here.
func (p *policySets) of(org *actor.State, now int64) (*policy.Set, error) {
	body := org.Policy(now)
	if body == nil {
		return p.baseline, nil
	}
	name := policyName{policy.IDOf(body.Text), body.Version, body.NotBefore, body.Expires}
	if set := p.parsed[name]; set != nil {
		return set, nil
	}
	set, err := p.read(body)
	if err != nil {
		return nil, err
	}
	if len(p.parsed) >= policySetsMax {
		clear(p.parsed)
	}
	p.parsed[name] = set
	return set, nil
}

func (p *policySets) read(body *actor.Policy) (*policy.Set, error) {
	rules, err := policy.Parse(body.Text, p.schema)
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	return policy.NewSet(rules, body.Version, body.NotBefore, body.Expires)
}

// readable refuses a vote for a policy that this keeper could not decide by.
func (p *policySets) readable(a *actor.Authentic) error {
	if b, ok := a.Body().(*actor.Watch); ok {
		if _, err := detect.Parse(b.Thresholds); err != nil {
			return abaton.Refuse(abaton.ReasonPolicy) // beyond the hard caps of this keeper
		}
		return nil
	}
	body, ok := a.Body().(*actor.Policy)
	if !ok {
		return nil
	}
	if _, err := p.read(body); err != nil {
		return abaton.Refuse(abaton.ReasonPolicy)
	}
	return nil
}

// policy: what nobody may tune is that a purpose fits who asks; the rest is the
// organisation's for its own people, and it never stands between patients and
// their own records, nor those that others gave them: a parent, a proxy, an heir.
// It is decided anew for every request.
func (v *verdict) policy() abaton.Reason {
	person := v.r.Session.Statement().Actor == v.r.Asked.Patient || v.asker.kind == actor.Patient
	if person != (v.r.Asked.Purpose == abaton.PatientAccess) {
		return abaton.ReasonPolicy
	}
	if person || v.r.Asked.Mode == session.Confirm { // which opens nothing
		return ""
	}
	org := v.asker.org
	if org == nil {
		return abaton.ReasonPolicy
	}
	f, err := facts(v)
	if err != nil {
		return v.broken(err)
	}
	set, err := v.core.policies.of(org, v.t.now.Unix())
	if err != nil || !policy.Decide(set, f).Permit {
		return abaton.ReasonPolicy
	}
	return ""
}

// policyVersion is which version of the organisation's policy is in force here,
// for the ledger: 0 for the shipped one, and where standing was refused before
// any organisation was known to stand behind who asks.
func (v *verdict) policyVersion() uint64 {
	if v.asker.org == nil {
		return 0
	}
	if body := v.asker.org.Policy(v.t.now.Unix()); body != nil {
		return body.Version
	}
	return 0
}

// linesTouched are the lines that a permitted request opened something of, for
// the ledger: to whoever knows a line's name they say which part of the record
// it was, to everybody else nothing.
func (v *verdict) linesTouched() []abaton.Line {
	if len(v.rows) == 0 {
		return v.lines
	}
	lines := slices.Clone(v.asksFor)
	ledger.SortLines(lines)
	return slices.Compact(lines)
}

// facts is what this keeper knows of a request, in the words of policies. What
// it does not know it leaves out, and policies refuse what needs it.
func facts(v *verdict) (*policy.Facts, error) {
	st, q := v.r.Session.Statement(), v.r.Asked
	f := &policy.Facts{
		Kind: policy.KindOf(v.asker.kind), Organisation: st.Organisation.String(), Mode: modeOf(q.Mode), Purpose: q.Purpose,
		Level: int64(v.level), Now: v.t.now.Unix(), OnCall: st.Behalf != (abaton.ActorID{}),
	}
	if st.Role != "" {
		f.Roles = []string{st.Role}
	}
	if m := v.asker.org.Member(st.Actor, v.t.now); m != nil && len(m.Trained) > 0 {
		f.Training = make(map[string]int64, len(m.Trained))
		for _, t := range m.Trained {
			f.Training[t.Course] = t.Until
		}
	}
	if until := v.r.Session.PostureUntil(); until != 0 { // session.Live refuses a device that is not enrolled
		f.Device = &policy.DeviceFacts{Enrolled: true, Level: int64(v.r.Session.Level()), Posture: until}
	}
	var err error
	if f.PatientsHour, f.PatientsDay, err = v.core.opened(v.t, st.Actor, q.Patient); err != nil {
		return nil, err
	}
	if q.Grant != (abaton.GrantID{}) {
		if g, _ := v.patient.Grant(q.Grant); g != nil {
			f.Grant = &policy.GrantFacts{NotBefore: g.NotBefore, Expires: g.Expires}
		}
	}
	if age, ok := v.touched(); ok {
		f.StepUp = &age
	}
	return f, nil
}

// touched is how many seconds ago the passkey was touched for this very request:
// for its lines of assurance level 3 where it has some, else for all its lines.
func (v *verdict) touched() (age int64, ok bool) {
	at, carried := v.r.Asked.SteppedUpAt()
	if !carried || !v.stepped && (len(v.strict) > 0 || v.r.Asked.SteppedUp(v.r.Session, v.r.Party, v.asksFor, v.t.now) != nil) {
		return 0, false
	}
	return max(0, v.t.now.Unix()-at), true
}

// asking notes a line that is to be opened, for the checks that follow.
func (v *verdict) asking(line abaton.Line) {
	level := uint8(actor.LevelMax) // a line without a level is the strictest
	if seg, ok := v.patient.Newest(line); ok {
		level = seg.Level
	}
	v.level = max(v.level, level)
	v.asksFor = append(v.asksFor, line)
	if level >= actor.LevelMax {
		v.strict = append(v.strict, line)
	}
}

func modeOf(m session.Mode) policy.Mode {
	switch m {
	case session.Release, session.Locks:
		return policy.Release
	case session.Permit:
		return policy.Permit
	case session.List:
		return policy.List
	case session.Index:
		return policy.Index
	case session.Parts:
		return policy.Parts
	case session.Unseal:
		return policy.Unseal
	}
	return ""
}
