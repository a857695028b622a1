package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/abaton-health/abaton/bench/machine"
	"github.com/abaton-health/abaton/internal/detect"
)

// baseRate is how many staff-days in a thousand have a violation (research:
// 444 violators in seven months at one centre).
const baseRate = 0.2

// report is all that one command measured.
type report struct {
	Facts    machine.Facts `json:"facts"`
	Seed     uint64        `json:"seed"`
	Staff    int           `json:"staff"`
	Patients int           `json:"patients"`
	Honey    int           `json:"honey_patients"`
	Days     int           `json:"days"`
	Train    int           `json:"days_before_counting"`
	Runs     int           `json:"runs_an_attack"`
	DelayMs  int64         `json:"verdict_delay_ms"`
	Quiet    []quiet       `json:"honest_work"`
	Sweep    []quiet       `json:"feed_freshness,omitempty"`
	Attacks  []attacked    `json:"attacks"`
	PPV      []ppv         `json:"ppv_at_base_rate"`
	Ablation []ablation    `json:"ablation,omitempty"`
	Without  []stolen      `json:"no_watch_at_all,omitempty"`
	Onlook   []watched     `json:"baselines,omitempty"`
	Memory   memory        `json:"memory"`
	Says     string        `json:"says"`
}

const honesty = "The hospital, its habits and its thieves are made up by us and calibrated to three published shares of unexplained reads; " +
	"this shows that the rules do what they say, and proves nothing of a real hospital. " +
	"One look at a stranger, on shift, and an export of the own ward are seen by no rule: the first stands in the patient's history and among the looks without a reason. The attacks here are the set the thresholds were tuned on."

// attacked is all attacks under one feed.
type attacked struct {
	Feed    string   `json:"feed"`
	Attacks []stolen `json:"attacks"`
}

// ppv is how many of those named are thieves, at the base rate.
type ppv struct {
	Feed      string  `json:"feed"`
	Alarm     string  `json:"alarm"`
	Recall    float64 `json:"mean_recall"`
	FalseRate float64 `json:"false_per_1000"`
	PPV       float64 `json:"ppv"`
}

type memory struct {
	People  int `json:"people"`
	Keeper  int `json:"largest_keeper_bytes"`
	Average int `json:"bytes_a_person"`
}

// options are the flags.
type options struct {
	staff, patients, days, train, runs, honey int
	seed                                      uint64
	delay                                     time.Duration
	only, attacks, out                        string
	feeds                                     []string
	all, json                                 bool
}

// measure runs all trials that the options ask for.
func measure(o *options, scripts []*script, progress io.Writer) (*report, *world) {
	w := build(o.staff, o.patients, o.days, o.seed)
	r := &report{Seed: o.seed, Staff: len(w.people), Patients: len(w.patients), Honey: o.honey, Days: o.days, Train: o.train,
		Runs: o.runs, DelayMs: o.delay.Milliseconds(), Says: honesty}
	base := trial{world: w, thresholds: detect.Default(), days: o.days, train: o.train, honey: o.honey, delay: o.delay.Milliseconds()}
	for _, name := range o.feeds {
		f := pick(name)
		fmt.Fprintf(progress, "hospital: honest work, %s feed\n", f.name)
		t := base
		t.feed = f
		q := quietOf(t.run())
		r.Quiet = append(r.Quiet, q)
		r.Memory.hold(len(w.people), q.BytesAKeeper)
		if o.runs == 0 {
			continue
		}
		fmt.Fprintf(progress, "hospital: attacks, %s feed\n", f.name)
		t.scripts, t.runs = scripts, o.runs
		a := attacked{Feed: f.name, Attacks: allStolen(t.run(), scripts)}
		r.Attacks = append(r.Attacks, a)
		r.PPV = append(r.PPV, ppvs(&q, &a)...)
	}
	if o.all && o.runs > 0 {
		base.feed = pick(o.feeds[0])
		r.furthers(&base, scripts, o, progress)
	}
	return r, w
}

// furthers are the sweep, the ablation and the baselines, two or more replays
// at a time: none knows of another.
func (r *report) furthers(base *trial, scripts []*script, o *options, progress io.Writer) {
	late := []int64{15 * minute, hour, 4 * hour, 24 * hour}
	rules := []detect.Rule{detect.D0, detect.D1, detect.D2, detect.D3, detect.D4, detect.D5, detect.D6, detect.D7, detect.D8, detect.D9, detect.D10, detect.D11, detect.D12}
	r.Sweep, r.Ablation = make([]quiet, len(late)), make([]ablation, len(rules))
	with := r.Attacks[0].Attacks
	attacked := *base
	attacked.scripts, attacked.runs = scripts, o.runs
	jobs := []func(){func() {
		t := attacked
		t.thresholds, t.onlook = without(), true
		l := t.run()
		r.Without = allStolen(l, scripts)
		for _, on := range l.onlooks {
			r.Onlook = append(r.Onlook, watchedOf(l, on.name()))
		}
	}}
	for i, rule := range rules {
		jobs = append(jobs, func() {
			t := attacked
			t.thresholds = detect.Default().Without(rule)
			l := t.run()
			r.Ablation[i] = compare(rule, with, allStolen(l, scripts), quietOf(l))
		})
	}
	for i, by := range late {
		jobs = append(jobs, func() {
			t := *base
			t.feed.stored, t.feed.name = by, fmt.Sprintf("%s, %v later", base.feed.name, time.Duration(by)*time.Millisecond)
			r.Sweep[i] = quietOf(t.run())
		})
	}
	together(jobs, progress)
}

// together does jobs, as many at a time as there are processors.
func together(jobs []func(), progress io.Writer) {
	var wait sync.WaitGroup
	var mu sync.Mutex
	done, next := 0, make(chan func())
	for range runtime.NumCPU() {
		wait.Go(func() {
			for job := range next {
				job()
				mu.Lock()
				done++
				fmt.Fprintf(progress, "hospital: %d of %d replays\n", done, len(jobs))
				mu.Unlock()
			}
		})
	}
	for _, job := range jobs {
		next <- job
	}
	close(next)
	wait.Wait()
}

// without is no rule at all.
func without() detect.Thresholds {
	t := detect.Default()
	for rule := detect.D0; rule <= detect.D14; rule++ {
		t = t.Without(rule)
	}
	return t
}

func pick(name string) feed {
	all := feeds()
	return all[max(0, slices.IndexFunc(all, func(f feed) bool { return f.name == name }))]
}

func (m *memory) hold(people, bytes int) {
	m.People, m.Keeper = people, max(m.Keeper, bytes)
	m.Average = m.Keeper / max(people, 1)
}

func allStolen(l *loop, scripts []*script) (all []stolen) {
	for _, s := range scripts {
		all = append(all, stolenOf(l, s.name))
	}
	return all
}

func compare(rule detect.Rule, with, without []stolen, q quiet) ablation {
	a := ablation{Rule: rule.String(), PromptDays: q.PromptDays.Rate}
	for i := range with {
		b, n := &with[i], &without[i]
		if n.Recall.Is < b.Recall.Is || n.Contained.Is < b.Contained.Is || n.ExposedMax > b.ExposedMax || n.ExposedP50 > b.ExposedP50 {
			a.Worse = append(a.Worse, change{b.Name, fmt.Sprintf("%d/%d to %d/%d", b.Recall.Is, b.Runs, n.Recall.Is, n.Runs),
				fmt.Sprintf("%d to %d", b.ExposedMax, n.ExposedMax)})
		}
	}
	return a
}

// ppvs is for the alarms that a person would look at.
func ppvs(q *quiet, a *attacked) (all []ppv) {
	recall, contained, found := 0.0, 0.0, 0.0
	for _, s := range a.Attacks {
		n := float64(len(a.Attacks))
		recall += ratio(s.Recall.Is, s.Runs) / n
		contained += ratio(s.Contained.Is, s.Runs) / n
		found += ratio(s.Any.Is, s.Runs) / n
	}
	add := func(alarm string, recall, wrong float64) {
		p := 0.0
		if recall > 0 {
			p = baseRate * recall / (baseRate*recall + wrong)
		}
		all = append(all, ppv{q.Feed, alarm, recall, wrong, p})
	}
	add("staff-day with a step-up", recall, q.PromptDays.Rate)
	add("suspension", contained, q.Suspensions.Rate)
	add("review", found, q.Reviews.Rate)
	return all
}

// print writes the report for people.
func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "# A simulated hospital under the watch\n\n%s\n\n", r.Says)
	fmt.Fprintf(w, "%d staff, %d patients, %d made-up ones, %d days of which %d before counting, seed %d, %d runs of each attack, verdicts take %d ms.\n%v\n",
		r.Staff, r.Patients, r.Honey, r.Days, r.Train, r.Seed, r.Runs, r.DelayMs, r.Facts)
	fmt.Fprintf(w, "Memory of the largest watch: %.1f MiB, %d bytes a person.\n", float64(r.Memory.Keeper)/(1<<20), r.Memory.Average)
	fmt.Fprintf(w, "\n## Honest work, per 1,000 staff-days (95 %%)\n\n")
	printQuiet(w, slices.Concat(r.Quiet, r.Sweep))
	printCauses(w, r.Quiet)
	for _, a := range r.Attacks {
		fmt.Fprintf(w, "\n## Attacks, %s feed\n\n", a.Feed)
		printStolen(w, a.Attacks)
	}
	fmt.Fprintf(w, "\n## Of those named, how many are thieves (%.1f in 1,000 staff-days)\n\n| feed | alarm | recall | false per 1,000 | PPV |\n|---|---|---|---|---|\n", baseRate)
	for _, p := range r.PPV {
		fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.3f |\n", p.Feed, p.Alarm, p.Recall, p.FalseRate, p.PPV)
	}
	if len(r.Ablation) > 0 {
		r.printFurthers(w)
	}
}

func printQuiet(w io.Writer, all []quiet) {
	fmt.Fprintln(w, "| feed | staff-days | unexplained | step-ups | staff-days with one | the same, calm days | suspensions | reviews | acts lost (related) | rules, staff-days |\n|---|---|---|---|---|---|---|---|---|---|")
	for _, q := range all {
		var rules []string
		for r := range detect.Rule(15) {
			if n, ok := q.ByRule[r.String()]; ok {
				rules = append(rules, fmt.Sprintf("%v %.1f", r, n.Rate))
			}
		}
		fmt.Fprintf(w, "| %s | %d | %.1f %% | %v | %v | %v | %v | %v | %.1f (%d) | %s |\n", q.Feed, q.StaffDays, 100*q.Unexplained,
			q.Prompts, q.PromptDays, q.CalmPrompts, q.Suspensions, q.Reviews, q.Lost.Rate, q.LostRelated, strings.Join(rules, ", "))
	}
}

func (r rate) String() string { return fmt.Sprintf("%.2f (%.2f to %.2f)", r.Rate, r.Low, r.High) }

func (s share) String() string { return fmt.Sprintf("%d/%d (%.2f to %.2f)", s.Is, s.Of, s.Low, s.High) }

func printStolen(w io.Writer, all []stolen) {
	fmt.Fprintln(w, "| attack | seen (95 %) | seen after, p50, p99 | contained | three refuse after, p50, p99 | patients exposed p50, max | rules |\n|---|---|---|---|---|---|---|")
	for _, s := range all {
		fmt.Fprintf(w, "| %s | %v | %s, %s | %d/%d | %s, %s | %d, %d | %s |\n", s.Name, s.Recall, secs(s.SeenP50), secs(s.SeenP99),
			s.Contained.Is, s.Contained.Of, secs(s.StopP50), secs(s.StopP99), s.ExposedP50, s.ExposedMax, s.Rules)
	}
	seen := 0
	for _, s := range all {
		seen += one(2*s.Recall.Is > s.Recall.Of)
	}
	fmt.Fprintf(w, "\nSeen in more than half of its runs: %v of the scripts.\n", wilson(seen, len(all)))
}

func secs(s float64) string {
	if s < 0 {
		return "never"
	}
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}

func (r *report) printFurthers(w io.Writer) {
	fmt.Fprintf(w, "\n## Without one rule\n\n| rule off | staff-days with a step-up | worse: seen; most exposed |\n|---|---|---|\n")
	for _, a := range r.Ablation {
		var worse []string
		for _, c := range a.Worse {
			worse = append(worse, fmt.Sprintf("%s: %s; %s", c.Attack, c.Recall, c.Exposed))
		}
		fmt.Fprintf(w, "| %s | %.1f | %s |\n", a.Rule, a.PromptDays, strings.Join(worse, "<br>"))
	}
	fmt.Fprintf(w, "\n## No watch, and what hospitals have today, in one run\n\n| attack | exposed, no watch: p50, max |")
	for _, o := range r.Onlook {
		fmt.Fprintf(w, " %s: named; after p50; exposed till then p50, max |", o.Name)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(r.Onlook)))
	for i, s := range r.Without {
		fmt.Fprintf(w, "| %s | %d, %d |", s.Name, s.ExposedP50, s.ExposedMax)
		for _, o := range r.Onlook {
			a := o.Attacks[i]
			fmt.Fprintf(w, " %d/%d; %s; %d, %d |", a.Recall.Is, a.Recall.Of, secs(a.NamedP50), a.ExposedP50, a.ExposedMax)
		}
		fmt.Fprintln(w)
	}
	for _, o := range r.Onlook {
		fmt.Fprintf(w, "\n%s names %v honest staff-days in 1,000.\n", o.Name, o.Flags)
	}
}
