package actor

import "github.com/abaton-health/abaton"

// ApprovalsMax is how many different managers an organisation can demand.
const ApprovalsMax = 2

// Approvals is how many different live manage keys must prove an event of
// this log that gives something. The first event says it, and nothing changes
// it.
func (s *State) Approvals() int {
	if s.inception == nil || s.inception.Kind != Organisation {
		return 1
	}
	return int(s.inception.Approvals)
}

// approvalsFit: an organisation demands one or two and has as many managers;
// nobody else demands any.
func (b *Inception) approvalsFit() bool {
	if b.Kind != Organisation {
		return b.Approvals == 0
	}
	managers := 0
	for _, k := range b.Keys {
		if k.Rights&Manage != 0 {
			managers++
		}
	}
	return b.Approvals >= 1 && b.Approvals <= ApprovalsMax && managers >= int(b.Approvals)
}

// widens reports whether an event of this kind gives something by itself. A
// merge gives only what events that were proved give.
func widens(k EventKind) bool { return !Narrows(k) && k != EventMerge && k != EventInception }

// managers counts the provers that may manage the log.
func managers(by provers, s standing) (n int) {
	for _, k := range by.keys {
		if s.rights(k)&Manage != 0 {
			n++
		}
	}
	return n
}

// proves reports whether these provers suffice for a kind of event:
// ReasonCredential when none is entitled, ReasonApprovals when an organisation
// demands a second manager. What takes away needs one.
func (s *State) proves(event EventKind, by provers, st standing) error {
	if !entitled(s.Kind(), event, by, st) {
		return abaton.Refuse(abaton.ReasonCredential)
	}
	if s.Kind() == Organisation && widens(event) && managers(by, st) < s.Approvals() {
		return abaton.Refuse(abaton.ReasonApprovals)
	}
	return nil
}

// approved reports whether enough of an organisation's managers signed an
// invitation. A patient and a clinician come in by one manager or writer: a
// patient's log gives nobody anything but by the patient's own word, and a
// clinician may do nothing before a Member event, which takes all managers.
func (s *State) approved(v *Invitation) bool {
	oneIsEnough := v.Kind == Patient || v.Kind == Clinician
	for _, id := range v.Signers {
		if oneIsEnough && s.KeyRights(id)&(Manage|Write) != 0 {
			return true
		}
	}
	return s.ByManagers(v)
}

// ByManagers reports whether as many live managers of this organisation signed
// an invitation or a ticket as its first event demands.
func (s *State) ByManagers(v *Invitation) bool {
	n := 0
	for _, id := range v.Signers {
		if s.KeyRights(id)&Manage != 0 {
			n++
		}
	}
	return n > 0 && n >= s.Approvals()
}
