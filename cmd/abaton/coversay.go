package main

import (
	"fmt"

	"github.com/abaton-health/abaton/actor"
)

// say puts a cover into words.
func (l *losing) say() {
	c := l.out
	add := func(format string, args ...any) { c.Says = append(c.Says, fmt.Sprintf(format, args...)) }
	switch len(c.Sessions) {
	case 0:
		add("no keeper has met a session that it would end")
	default:
		for _, s := range c.Sessions {
			add("ends the session of %s that runs until %s%s", s.Who, clockTime(s.Expires), at(s.Device))
		}
	}
	if l.p.Kind == actor.Device {
		add("who sits at it signs in at another device: abaton device enrol --for WHO")
		return
	}
	for _, t := range c.Teams {
		switch {
		case len(t.Left) == 0:
			add("leaves team %s WITH NOBODY: what patients gave to it opens for no one", t.Team)
		case len(t.Now) == 0:
			add("leaves team %s to %s, and NONE of them is signed in now", t.Team, namesOf(t.Left))
		default:
			add("leaves team %s to %s; signed in now: %s", t.Team, namesOf(t.Left), namesOf(t.Now))
		}
	}
	for _, d := range c.Duties {
		add("ends a shift: %s", d)
	}
	if c.Granted > 0 {
		add("up to %d patients gave something to %s by name: it opens for nobody else through that", c.Granted, c.Who)
	}
	if c.InCare > 0 {
		add("%s opened at least %d patients with a known reason in the last 24 hours", c.Who, c.InCare)
	}
	if len(c.Programs) > 0 {
		add("stops programs that %s answers for: %s", c.Who, namesOf(c.Programs))
	}
	l.sayEmergency(add)
}

func (l *losing) sayEmergency(add func(string, ...any)) {
	c := l.out
	m := l.log.Member(l.p.ID, l.now)
	switch {
	case m == nil || m.Program():
		return
	case len(c.Emergency) == 0:
		add("NOBODY is left who can open in an emergency")
	case len(c.OnNow) == 0:
		add("who can open in an emergency: %s; NONE of them is signed in now", namesOf(c.Emergency))
	default:
		add("who can open in an emergency, signed in now: %s", namesOf(c.OnNow))
	}
	if len(c.Second) == 0 {
		add("nobody else is signed in who could agree as a second clinician")
	} else {
		add("who can agree as a second clinician, signed in now: %s", namesOf(c.Second))
	}
}

func at(device string) string {
	if device == "" {
		return ""
	}
	return ", at " + device
}

// showCover prints what would break, to people.
func (e *env) showCover(c *cover) {
	e.print("%s, and it\n", c.Does)
	for _, s := range c.Says {
		e.print("  %s\n", s)
	}
	e.print("Undo: %s\n", c.Undo)
}
