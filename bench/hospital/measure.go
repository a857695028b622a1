package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/abaton-health/abaton/internal/detect"
)

// trial is one replay of a hospital: one feed, one set of rules, with thieves
// or without.
type trial struct {
	world      *world
	feed       feed
	thresholds detect.Thresholds
	scripts    []*script
	runs       int
	days       int
	train      int
	honey      int
	delay      int64
	onlook     bool
}

func (t *trial) run() *loop {
	l := &loop{w: t.world, h: newHospital(t.world, t.feed, t.days), n: newNetwork(t.world, t.thresholds, t.delay),
		honey: t.honey, scripts: t.scripts, runs: t.runs, train: t.train, days: t.days, count: newCounts(clock(t.train, 0))}
	if t.onlook {
		l.onlooks = onlookers(t.world)
	}
	l.run()
	return l
}

// quiet is what honest people have of it.
type quiet struct {
	Feed         string          `json:"feed"`
	StaffDays    int             `json:"staff_days"`
	ReadsADay    float64         `json:"reads_a_staff_day"`
	Unexplained  float64         `json:"unexplained_new_pairs"`  // share, when they are read
	Prompts      rate            `json:"step_up_prompts"`        // acts for which the passkey was asked for
	PromptDays   rate            `json:"staff_days_with_prompt"` //
	CalmPrompts  rate            `json:"staff_days_with_prompt_on_calm_days"`
	Suspensions  rate            `json:"false_suspensions"`      // staff-days
	Reviews      rate            `json:"reviews"`                // staff-days put before a person
	Lost         rate            `json:"acts_that_did_not_open"` //
	LostRelated  int             `json:"of_them_related"`
	Throttled    int             `json:"of_them_throttled"`
	Notices      rate            `json:"emergency_notices"`
	Unread       rate            `json:"unexplained_after_a_day"` // a keeper's list of the last week (D14), which sees three fifths
	ByRule       map[string]rate `json:"staff_days_by_rule"`      // at step-up or above
	Causes       []cause         `json:"causes"`
	Verdicts     int             `json:"verdicts_sent"`
	BytesAKeeper int             `json:"watch_bytes_a_keeper"`
}

func quietOf(l *loop) quiet {
	c := l.count
	of := func(n int) rate { return perThousand(n, c.staffDays) }
	q := quiet{
		Feed: l.h.feed.name, StaffDays: c.staffDays, ReadsADay: ratio(c.acts, c.staffDays), Unexplained: ratio(c.strange, c.newPairs),
		Prompts: of(c.prompts), PromptDays: of(c.promptDays), CalmPrompts: perThousand(c.calmPromptDays, c.calmDays), Suspensions: of(c.suspendDays), Reviews: of(c.reviewDays),
		Lost: of(c.lostActs), LostRelated: c.refusedRelated, Throttled: c.throttledActs, Notices: of(c.notices), Unread: of(c.unexplained),
		ByRule: make(map[string]rate), Causes: c.allCauses(), Verdicts: l.n.verdicts, BytesAKeeper: c.perKeeper,
	}
	for r, n := range c.byRule {
		if n > 0 {
			q.ByRule[detect.Rule(r).String()] = of(n)
		}
	}
	return q
}

func ratio(a, b int) float64 { return float64(a) / float64(max(b, 1)) }

// stolen is what came of the runs of one script. Seconds are from the first
// harm; -1 says that it never came in so many of the runs.
type stolen struct {
	Name       string  `json:"name"`
	Runs       int     `json:"runs"`
	Recall     share   `json:"seen"`      // step-up or more at one keeper
	Any        share   `json:"found"`     // any finding, a person's queue included
	Contained  share   `json:"contained"` // three of five refused, and nothing opened after
	SeenP50    float64 `json:"seen_p50_s"`
	SeenP99    float64 `json:"seen_p99_s"`
	StopP50    float64 `json:"three_refuse_p50_s"`
	StopP99    float64 `json:"three_refuse_p99_s"`
	ExposedP50 int     `json:"exposed_p50"`
	ExposedMax int     `json:"exposed_max"`
	Rules      string  `json:"rules"`
}

func stolenOf(l *loop, name string) stolen {
	s := stolen{Name: name}
	var seen, stop []time.Duration
	var exposed []int
	recall, found, contained := 0, 0, 0
	var rules detect.Rules
	for _, t := range l.thieves {
		if t.script.name != name || t.acts == 0 || t.first == 0 && !t.done {
			continue // cut off before it did any harm
		}
		s.Runs++
		recall += one(t.seen >= 0)
		found += one(t.queued >= 0)
		contained += one(t.contained >= 0)
		seen, stop = append(seen, t.since(t.seen)), append(stop, t.since(t.contained))
		exposed = append(exposed, len(t.exposed))
		rules |= t.rules
	}
	s.Recall, s.Any, s.Contained = wilson(recall, s.Runs), wilson(found, s.Runs), wilson(contained, s.Runs)
	s.SeenP50, s.SeenP99 = at(seen, 0.5), at(seen, 0.99)
	s.StopP50, s.StopP99 = at(stop, 0.5), at(stop, 0.99)
	slices.Sort(exposed)
	if len(exposed) > 0 {
		s.ExposedP50, s.ExposedMax = exposed[(len(exposed)-1)/2], exposed[len(exposed)-1]
	}
	s.Rules = rules.String()
	return s
}

// at is a percentile in seconds; never counts as longest and is -1.
func at(all []time.Duration, p float64) float64 {
	if len(all) == 0 {
		return -1
	}
	slices.SortFunc(all, func(a, b time.Duration) int {
		switch {
		case a < 0 || b < 0:
			return cmp.Compare(one(a < 0), one(b < 0))
		}
		return cmp.Compare(a, b)
	})
	i := min(len(all)-1, int(p*float64(len(all)-1)+0.999999))
	if all[i] < 0 {
		return -1
	}
	return all[i].Seconds()
}

// watched is what an onlooker, which refuses nothing, would have found.
type watched struct {
	Name       string          `json:"name"`
	Flags      rate            `json:"staff_days_named"`
	Attacks    []watchedAttack `json:"attacks"`
	MeanRecall float64         `json:"mean_recall"`
}

type watchedAttack struct {
	Name       string  `json:"name"`
	Recall     share   `json:"recall"`
	NamedP50   float64 `json:"named_p50_s"`
	ExposedP50 int     `json:"exposed_p50"` // until it was named, or all
	ExposedMax int     `json:"exposed_max"`
}

func watchedOf(l *loop, onlooker string) watched {
	w := watched{Name: onlooker, Flags: perThousand(l.count.flags[onlooker], l.count.staffDays)}
	for _, s := range l.scripts {
		a := watchedAttack{Name: s.name}
		var when []time.Duration
		var exposed []int
		named := 0
		for _, t := range l.thieves {
			if t.script != s || t.acts == 0 {
				continue
			}
			by, found := t.flagged[onlooker]
			named += one(found)
			if !found {
				by = -1
			}
			when = append(when, t.since(by))
			n := 0
			for _, opened := range t.exposed {
				n += one(!found || opened <= by)
			}
			exposed = append(exposed, n)
		}
		a.Recall, a.NamedP50 = wilson(named, len(when)), at(when, 0.5)
		slices.Sort(exposed)
		if len(exposed) > 0 {
			a.ExposedP50, a.ExposedMax = exposed[(len(exposed)-1)/2], exposed[len(exposed)-1]
		}
		w.Attacks = append(w.Attacks, a)
		w.MeanRecall += ratio(a.Recall.Is, a.Recall.Of) / float64(len(l.scripts))
	}
	return w
}

// ablation is what is lost without one rule.
type ablation struct {
	Rule       string   `json:"rule"`
	PromptDays float64  `json:"staff_days_with_prompt_per_1000"`
	Worse      []change `json:"worse"`
}

type change struct {
	Attack  string `json:"attack"`
	Recall  string `json:"seen"`
	Exposed string `json:"exposed_max"`
}
