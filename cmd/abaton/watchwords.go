package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/detect"
	"github.com/abaton-health/abaton/keeper"
)

// whyHeld says in plain words what rules found.
func whyHeld(rules detect.Rules) (why []string) {
	for _, one := range []struct {
		rule detect.Rule
		text string
	}{
		{detect.D0, "opened new patients faster than a hand can"},
		{detect.D1, "opened very many patients in a short time"},
		{detect.D2, "opened too many patients without a known reason within an hour"},
		{detect.D3, "opened too many patients without a known reason within a day"},
		{detect.D5, "asked again and again for what was not theirs"},
		{detect.D7, "was at two devices at once"},
		{detect.D9, "opened a made-up patient, whom nobody has a reason to open"},
		{detect.D11, "opened more than this role ever does at this hour"},
	} {
		if rules.Has(one.rule) {
			why = append(why, one.text)
		}
	}
	return why
}

// numberOf says one number that a rule went by, and where it speaks.
func numberOf(f keeper.Figure) string {
	what := map[detect.Measure]string{
		detect.TooSoon: "new patients at once", detect.Opened: "different patients", detect.NoReason: "new patients without a known reason",
		detect.Denied: "different patients refused", detect.Unanswered: "patients at whom no touch was given",
		detect.Urgent: "patients in an emergency", detect.NewInTheHour: "new patients",
	}[detect.Measure(f.Measure)]
	if what == "" {
		what = "acts of another kind"
	}
	text := fmt.Sprintf("%d %s", f.Count, what)
	if f.Span > 0 {
		text += " within " + spanOf(f.Span)
	}
	line := fmt.Sprintf("the rule speaks above %d", f.Limit)
	switch detect.Rule(f.Rule) {
	case detect.D5:
		line = fmt.Sprintf("the rule speaks from %d on", f.Limit)
	case detect.D11:
		line = fmt.Sprintf("the rule speaks above %d, and before where this hour is strange for the role", f.Limit)
	}
	return text + "; " + line
}

// spanOf is a span of whole units in words.
func spanOf(seconds uint32) string {
	for _, u := range []struct {
		seconds uint32
		one, n  string
	}{{7 * 86400, "a week", "weeks"}, {86400, "a day", "days"}, {3600, "an hour", "hours"}, {60, "a minute", "minutes"}} {
		switch {
		case seconds == u.seconds:
			return u.one
		case seconds%u.seconds == 0 && seconds > 0:
			return fmt.Sprintf("%d %s", seconds/u.seconds, u.n)
		}
	}
	return fmt.Sprintf("%d seconds", seconds)
}

// mayStill says what somebody who is held at this level can do, in the words of
// the rules that keepers go by (docs/protocol/watch.md#verdict).
func mayStill(level detect.Level, kind contain.Kind, rules detect.Rules) (can []string) {
	unrelated := rules != 0 && rules&^detect.Of(detect.D2, detect.D3) == 0
	switch {
	case level < detect.StepUp:
		return []string{"everything, as ever"}
	case level == detect.StepUp && unrelated:
		return []string{"open patients with a known reason as ever", "open others, each with a touch of the passkey"}
	case level == detect.StepUp:
		return []string{"open every patient, after a touch of the passkey"}
	case level == detect.Throttle:
		return []string{"open patients with a known reason, after a touch of the passkey", "open others with a touch too, one new patient in half a minute"}
	}
	can = []string{"open patients in care, each time with a second clinician's agreement", "open in an emergency to which a second clinician agreed beforehand"}
	if kind == contain.KindSession {
		can = append(can, "sign in anew: only this session is held")
	}
	return can
}

// endings are what ends what holds somebody.
func endings(s *steeredSubject, managers int) []string {
	if s.State != stateHeld {
		return nil
	}
	out := []string{
		"by itself at " + clockTime(s.Until),
		fmt.Sprintf("abaton watch lift %s --why mistaken|explained|ended, signed by %d of the clinic's managers", s.lifts(), max(managers, 1)),
	}
	if s.rules&detect.Of(detect.D2, detect.D3) != 0 {
		out = append(out, "a reason told late takes those patients out of the count: abaton relation tell hand-over")
	}
	return out
}

// namesOf are at most some names, and how many more there are.
func namesOf(all []string) string {
	const shown = 8
	if len(all) <= shown {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:shown], ", "), len(all)-shown)
}

func clockTime(unix uint64) string { return time.Unix(int64(unix), 0).UTC().Format(time.DateTime) }
