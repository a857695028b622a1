package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/blast"
)

// thingWords are how a stolen thing is called; %s is whose it is.
func thingWords(k blast.Kind, who string) string {
	words, known := map[blast.Kind]string{
		blast.Session:       "an open session of %s",
		blast.Passkey:       "a passkey of %s, without the device,",
		blast.Device:        "the locked device %s",
		blast.Person:        "everything of %s, unlocked,",
		blast.ManageKey:     "one managing key of %s",
		blast.AlarmKey:      "the alarm key of %s",
		blast.AttestKey:     "the attesting key of %s",
		blast.Organisation:  "every key of %s",
		blast.TeamSeed:      "the key of team %s",
		blast.Gateway:       "the disk of the gateway of %s",
		blast.GatewayMemory: "the running gateway of %s, with the whole staff signed in,",
		blast.Kit:           "the paper kit of %s",
		blast.Authority:     "the key of emergency authority %s",
		blast.Trustee:       "all that helper %s has",
		blast.Keeper:        "the disk and keys of %s",
	}[k]
	if !known {
		return who
	}
	return strings.ReplaceAll(words, "%s", who)
}

// powerWords are what a thief can do besides reading; %s is to how many patients.
func powerWords(p blastPower) string {
	words := map[blast.Can]string{
		blast.CanAdd:      "can add records for %s",
		blast.CanBar:      "can bar staff and devices",
		blast.CanTakeOn:   "can take on staff and devices of its own",
		blast.CanVouch:    "can call enrolled devices in order",
		blast.CanOwnLog:   "can stop grants and erase for %s",
		blast.CanGive:     "can let others in",
		blast.CanHandOn:   "can hand on what %s allowed to go on",
		blast.CanCutOff:   "can take away what %s gave others",
		blast.CanState:    "can state a case about %s, or take it back",
		blast.CanClaim:    "can take over the records of %s in custody",
		blast.CanWithhold: "can keep back one keeper's answers",
		blast.CanLogs:     "can read who granted whom, by pseudonym",
	}[p.Can]
	return strings.ReplaceAll(words, "%s", patientsOf(p.Patients))
}

// say is one theft in a few plain sentences.
func (s *survey) say(t *blastThing) string {
	var b strings.Builder
	fmt.Fprintf(&b, "If %s is taken: %s; %s", thingWords(t.Thing, t.Who), t.reads(s.now), t.changes())
	if len(t.Cannot) > 0 && t.Patients > 0 {
		fmt.Fprintf(&b, "; cannot reach %s", strings.Join(t.Cannot, ", "))
	}
	b.WriteString(".")
	for _, m := range t.Besides {
		b.WriteString(" " + m.words())
	}
	if len(t.OneMore) > 0 {
		var more []string
		for _, o := range t.OneMore {
			more = append(more, o.words())
		}
		fmt.Fprintf(&b, " It takes one thing more to reach more: %s.", strings.Join(more, ", "))
	}
	if t.Cut != nil && t.Cut.Patients < t.Patients {
		fmt.Fprintf(&b, " Biggest cut: take back what %s was given: %d to %d.", t.Cut.To, t.Patients, t.Cut.Patients)
	}
	return b.String()
}

// words name the thing and what opens with it.
func (o *blastSecond) words() string {
	article := "a "
	if strings.ContainsAny(string(o.Thing[0]), "aeiou") {
		article = "an "
	}
	name := article + strings.ReplaceAll(string(o.Thing), "-", " ")
	words := name + " (" + patientsOf(o.Patients)
	if o.Records > 0 {
		words += fmt.Sprintf(", %d records", o.Records)
	}
	switch {
	case o.Later > 0 && o.Patients == 0:
		return name + " (" + patientsOf(o.Later) + " later)"
	case o.Later > 0:
		words += fmt.Sprintf("; %d later", o.Later)
	case o.Patients == 0:
		return name + " (the clinic itself)"
	}
	return words + ")"
}

func patientsOf(n int) string {
	if n == 1 {
		return "1 patient"
	}
	return fmt.Sprintf("%d patients", n)
}

// reads says what opens, and until when.
func (t *blastThing) reads(now time.Time) string {
	if len(t.Opens) == 0 {
		return "can read nothing"
	}
	var kinds []string
	house := false
	for _, o := range t.Opens {
		house = house || o.House
		for _, l := range o.Lines {
			kinds = append(kinds, l.words())
		}
	}
	slices.Sort(kinds)
	words := fmt.Sprintf("can read %s of %s", strings.Join(slices.Compact(kinds), ", "), whose(t.Patients, house))
	if t.Records > 0 {
		words += fmt.Sprintf(" (%d records)", t.Records)
	}
	if t.Until > 0 {
		words += ", " + left(time.Unix(t.Until, 0).Sub(now))
	}
	return words
}

// whose are the owners of what opens.
func whose(patients int, house bool) string {
	switch {
	case !house:
		return patientsOf(patients)
	case patients == 0:
		return "the clinic itself"
	}
	return patientsOf(patients) + " and of the clinic itself"
}

func left(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days left", d/(24*time.Hour))
	}
	return fmt.Sprintf("%d h %d min left", d/time.Hour, d%time.Hour/time.Minute)
}

func (l *blastLine) words() string {
	if l.Category != "" {
		return l.Category
	}
	return fmt.Sprintf("lines of level %d", l.Level)
}

// changes says what a thief can do besides reading.
func (t *blastThing) changes() string {
	var words []string
	for _, p := range t.Can {
		if w := powerWords(p); w != "" {
			words = append(words, w)
		}
	}
	changes := slices.ContainsFunc(t.Can, func(p blastPower) bool { return blast.Power{Can: p.Can}.Changes() })
	if !changes {
		words = append([]string{"can change nothing"}, words...)
	}
	return strings.Join(words, "; ")
}

func (m *blastMore) words() string {
	wait := ""
	if m.Wait > 0 {
		wait = fmt.Sprintf(", after %v", time.Duration(m.Wait)*time.Second)
	}
	switch m.Way {
	case blast.ByEmergency:
		return fmt.Sprintf("Emergency sets of %s open one by one, %d a day, each in its patient's history.", patientsOf(m.Patients), m.PerDay)
	case blast.ByCustody:
		return fmt.Sprintf("Records of %s in the care team's custody open one by one, %d a day.", patientsOf(m.Patients), m.PerDay)
	case blast.ByRecovery:
		return fmt.Sprintf("It can begin to come in as %s%s, unless a live device stops it: all are told at once.", patientsOf(m.Patients), wait)
	case blast.ByFinding:
		return fmt.Sprintf("By stating a case, or taking one back, in their logs it reaches records of %s.", patientsOf(m.Patients))
	case blast.ByMadeStaff:
		return fmt.Sprintf("By staff and devices of its own making it reaches records of %s%s.", whose(m.Patients, m.House), wait)
	}
	return ""
}

// unreached are the categories of the patients reached of which nothing opens.
func (s *survey) unreached(r *blast.Reach) []string {
	out := []string{}
	reached := make(map[string]bool)
	for _, o := range r.Opens {
		for _, l := range o.Lines {
			reached[s.categories[l.ID]] = true
		}
	}
	for _, o := range r.Opens {
		if log := s.logs[o.Owner]; log != nil && !o.House {
			for _, seg := range log.Lines() {
				if name := s.categories[seg.Line]; name != "" && !reached[name] {
					out = append(out, name)
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
