package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Where a field's answer comes from besides a source.
const (
	byPerson   = "person" // nothing here knows it
	textPrefix = "text:"
)

// known is what a draft is filled from.
type known struct {
	i *Incident
	s *Settings
	r *Rule
}

// answer is a field's answer; empty for one that is missing. Evidence names
// ledger entries, where it is a number or a time from them.
type answer struct {
	text     string
	evidence []string
}

// sources is every answer that a field map may name.
var sources = map[string]func(*known) answer{
	"organisation.name":       func(k *known) answer { return said(k.s.Name) },
	"organisation.address":    func(k *known) answer { return said(k.s.Address) },
	"organisation.country":    func(k *known) answer { return said(k.s.Country) },
	"organisation.identifier": func(k *known) answer { return said(k.s.Identifier) },
	"organisation.sector":     func(k *known) answer { return said(k.s.Sector) },
	"organisation.key":        func(k *known) answer { return said(k.i.Organisation) },
	"dpo":                     func(k *known) answer { return said(k.s.DPO.line()) },
	"reporter":                func(k *known) answer { return said(k.s.Reporter.line()) },
	"patients.contact":        func(k *known) answer { return said(k.s.Patients.line()) },
	"incident.id":             func(k *known) answer { return said(k.i.ID) },
	"incident.found":          func(k *known) answer { return said(k.i.Found) },
	"incident.description":    func(k *known) answer { return answer{k.describe(), k.reads()} },
	"incident.vector":         func(k *known) answer { return said(vectorWords[k.i.Vector]) },
	"incident.malicious":      func(k *known) answer { return said(maliciousWords[k.i.Vector]) },
	"incident.actor":          func(k *known) answer { return answer{k.actor(), k.reads()} },
	"incident.location":       func(*known) answer { return said("electronic medical record, read through the gateway") },
	"incident.confidentiality": func(k *known) answer {
		return answer{fmt.Sprintf("yes: %d records were opened, %d more asked for", k.i.Scope.Records.Opened, k.i.Scope.Records.Close+k.i.Scope.Records.Asked), k.reads()}
	},
	"incident.integrity": func(k *known) answer {
		if k.i.CIA.Integrity { // what was written, a person must look at
			return answer{}
		}
		return answer{"no: none of these requests wrote or erased anything", k.reads()}
	},
	"incident.availability": func(k *known) answer {
		if k.i.CIA.Availability {
			return answer{}
		}
		return answer{"no: none of these requests erased anything", k.reads()}
	},
	"clock.start":     func(k *known) answer { return answer{moment(k.i.Clocks.FirstRead), k.reads()} },
	"clock.end":       func(k *known) answer { return answer{moment(k.i.Clocks.LastRead), k.reads()} },
	"clock.detected":  func(k *known) answer { return said(moment(k.i.Clocks.Detected)) },
	"clock.contained": func(k *known) answer { return said(moment(k.i.Clocks.Contained)) },
	"clock.aware": func(k *known) answer {
		return said(cmp.Or(moment(k.i.Clocks.Aware), moment(k.i.Clocks.Detected)+" (when it was detected: no later time is claimed)"))
	},
	"clock.ongoing":  func(k *known) answer { return said(k.ongoing()) },
	"clock.duration": func(k *known) answer { return answer{span(k.i.Clocks.LastRead - k.i.Clocks.FirstRead), k.reads()} },
	"clock.late":     func(k *known) answer { return said(k.late()) },
	"people.opened":  func(k *known) answer { return answer{strconv.Itoa(k.i.Scope.People.Opened), k.reads()} },
	"people.most":    func(k *known) answer { return answer{strconv.Itoa(k.most()), k.reads()} },
	"people.groups":  func(k *known) answer { return said(k.s.Groups) },
	"people.few":     func(k *known) answer { return answer{few(k.i.Scope.People.Opened + k.i.Scope.People.Close), k.reads()} },
	"records.opened": func(k *known) answer { return answer{strconv.Itoa(k.i.Scope.Records.Opened), k.reads()} },
	"records.most": func(k *known) answer {
		return answer{strconv.Itoa(k.i.Scope.Records.Opened + k.i.Scope.Records.Close), k.reads()}
	},
	"records.asked":         func(k *known) answer { return answer{strconv.Itoa(k.i.Scope.Records.Asked), k.i.Encrypted.Evidence} },
	"data.kinds":            func(k *known) answer { return said(k.s.Kinds) },
	"data.identity":         func(k *known) answer { return said(k.s.Identity) },
	"data.special":          func(*known) answer { return said("yes: data concerning health (GDPR Article 9)") },
	"protection.before":     func(k *known) answer { return said(strings.Join(k.s.Safeguards, "; ")) },
	"protection.encryption": func(k *known) answer { return said(k.encryption()) },
	"protection.sealed":     func(k *known) answer { return k.sealed() },
	"protection.training":   func(k *known) answer { return said(k.s.Training) },
	"measures.taken":        func(k *known) answer { return said(k.measures()) },
	"measures.planned":      func(k *known) answer { return said(strings.Join(k.s.Planned, "; ")) },
	"informed.people":       func(k *known) answer { return said(k.informed()) },
	"informed.how":          func(k *known) answer { return said(k.channel()) },
	"border":                func(k *known) answer { return said(k.s.CrossBorder) },
	"complete":              func(k *known) answer { return answer{k.complete(), k.i.Complete.Evidence} },
	"indicators":            func(k *known) answer { return answer{k.indicators(), k.reads()} },
	"evidence": func(k *known) answer {
		return answer{"signed incident file with the ledger entries, each with its proof; abaton verify checks it offline", k.i.Complete.Evidence}
	},
}

var vectorWords = map[Vector]string{
	StolenSession: "unauthorised access with a stolen session of a member of staff",
	StolenDevice:  "unauthorised access with a stolen device",
	Insider:       "access by a member of staff without a need for it",
	SharedAccount: "access with a credential that several people used",
	Gateway:       "unauthorised access through a gateway in others' hands",
	Emergency:     "emergency access without an emergency",
}

var maliciousWords = map[Vector]string{
	StolenSession: "suspected: yes, unlawful or malicious", StolenDevice: "suspected: yes, unlawful or malicious",
	Gateway: "suspected: yes, unlawful or malicious", Insider: "suspected: yes, unlawful",
	SharedAccount: "not known yet", Emergency: "suspected: yes, unlawful",
}

func said(text string) answer { return answer{text: text} }

func (c *Contact) line() string {
	var parts []string
	for _, p := range []string{c.Name, c.Function, c.Phone, c.Email, c.Web, c.Hours} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

// moment is a time as drafts show it; empty for none.
func moment(at int64) string {
	if at == 0 {
		return ""
	}
	return time.Unix(at, 0).UTC().Format("2006-01-02 15:04:05 UTC")
}

func span(seconds int64) string { return (time.Duration(seconds) * time.Second).String() }

// idsMax is how many entries one answer names; of more it says where they stand.
const idsMax = 64

// reads are the entries behind who and what was read.
func (k *known) reads() (ids []string) {
	for _, p := range k.i.Scope.Patients {
		for _, r := range p.Reads {
			if ids = append(ids, r.Evidence...); len(ids) > idsMax {
				return []string{"incident.scope"}
			}
		}
	}
	return ids
}

func (k *known) most() int { p := k.i.Scope.People; return p.Opened + p.Close }

func (k *known) describe() string {
	i := k.i
	text := fmt.Sprintf("Between %s and %s records of patients were read from the record system", moment(i.Clocks.FirstRead), moment(i.Clocks.LastRead))
	if words := vectorWords[i.Vector]; words != "" {
		text += " (" + words + ")"
	}
	return text + fmt.Sprintf(": %d records of %d patients were opened, %d records were asked for and not opened. The list is %s.",
		i.Scope.Records.Opened, i.Scope.People.Opened, i.Scope.Records.Close+i.Scope.Records.Asked, i.Complete.Says)
}

func (k *known) actor() string {
	s := &k.i.Subject
	text := fmt.Sprintf("%d account(s): %s", len(s.Actors), strings.Join(s.Actors, ", "))
	if len(s.Roles) > 0 {
		text += "; in the role of " + strings.Join(s.Roles, ", ")
	}
	return text
}

func (k *known) indicators() string {
	s := &k.i.Subject
	parts := []string{}
	for _, p := range []struct{ what, name string }{{"session", s.Session}, {"device", s.Device}, {"account", s.Person}, {"grant", s.Grant}} {
		if p.name != "" {
			parts = append(parts, p.what+" "+p.name)
		}
	}
	if len(parts) == 0 {
		parts = s.Actors
	}
	return strings.Join(parts, "; ")
}

func (k *known) ongoing() string {
	if at := k.i.Clocks.Contained; at != 0 {
		return "no: contained " + moment(at)
	}
	return ""
}

// late gives the reasons for a late report only where it is not late: else a
// person must.
func (k *known) late() string {
	for _, s := range k.r.due(k.i) {
		if s.Due < k.i.Made {
			return ""
		}
	}
	return "not late: drafted " + moment(k.i.Made)
}

func (k *known) encryption() string {
	return fmt.Sprintf("yes: each record is sealed under a key of its own; a record opens only when at least %d of %d keepers release their part and ledger it", k.i.Encrypted.Threshold, k.i.Encrypted.Keepers)
}

func (k *known) sealed() answer {
	e := &k.i.Encrypted
	if e.Sealed == 0 {
		return said("none of the records asked for stayed sealed")
	}
	return answer{fmt.Sprintf("%d records were asked for and stayed unintelligible: fewer than %d keepers released them", e.Sealed, e.Threshold), e.Evidence}
}

func (k *known) measures() string {
	var parts []string
	for _, m := range k.i.Measures {
		parts = append(parts, moment(m.At)+": "+m.What)
	}
	return strings.Join(parts, "; ")
}

func (k *known) informed() string {
	if len(k.i.Notices) == 0 {
		return ""
	}
	return fmt.Sprintf("%d signed notices were made, one for each patient, on %s; whether they were handed over, a person must say", len(k.i.Notices), moment(k.i.Made))
}

func (k *known) channel() string {
	if len(k.i.Notices) == 0 {
		return ""
	}
	alone := 0
	for _, n := range k.i.Notices {
		if !n.Post {
			alone++
		}
	}
	return fmt.Sprintf("a separate message to each; %d of them in person, because nothing may be posted to them", alone)
}

func (k *known) complete() string {
	c := &k.i.Complete
	var keepers []string
	for _, x := range c.Keepers {
		keepers = append(keepers, strconv.Itoa(int(x)))
	}
	return fmt.Sprintf("%s: %d ledgers answered whole (keepers %s)", c.Says, len(c.Keepers), strings.Join(slices.Compact(keepers), ", "))
}

func few(n int) string {
	if n < 500 {
		return "fewer than 500"
	}
	return "500 or more"
}
