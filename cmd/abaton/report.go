package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/internal/local"
	"github.com/abaton-health/abaton/internal/report"
	"github.com/abaton-health/abaton/ledger"
)

// reportSettings is the organisation's own file beside a network.
const reportSettings = "report.json"

// subjectAll is the subject of a report that is about everybody.
const subjectAll = "all"

// reportFlags say what is to be reported.
type reportFlags struct {
	subject, as, since, until, out, settings string
	what, found, detected, contained, aware  string
	did, private, languages                  []string
	of                                       string // a drill, of a network that drills made
	drill, asJSON, large                     bool
	classes                                  string // a file
}

func newReportCommand(e *env) *cobra.Command {
	var f reportFlags
	c := &cobra.Command{Use: "report", Short: "Who was touched, exactly, from the keepers' ledgers; drafts for authorities, letters for patients", Args: cobra.NoArgs,
		Long: `Asks all keepers what the clinic's own people and programs were given, or asked for,
and makes of the answers: the incident, a draft for each authority whose rules apply,
and a letter for each patient. Each keeper ledgers the question before it answers.

Every file is signed, carries the ledger entries behind its numbers, and can be
checked by anybody with "abaton verify". Nothing is sent anywhere: a person reads it,
completes what is listed as missing, and hands it in.`,
		Example: "  abaton report --subject dr-ben --since 2h --what insider --out breach\n  abaton report status --out breach",
		RunE:    func(c *cobra.Command, _ []string) error { return e.tellTouched(c.Context(), &f) }}
	c.Flags().StringVar(&f.subject, "subject", "", "whose requests: a person or device by handle or act1..., a session ses1..., a grant gra1..., or \"all\"")
	c.Flags().StringVar(&f.as, "as", "", "who asks: the clinic (default), or its security officer")
	c.Flags().StringVar(&f.since, "since", "", "from when: an instant as 2026-01-31T08:00:00Z, or a span such as 2h")
	c.Flags().StringVar(&f.until, "until", "", "to when; default now")
	c.Flags().StringVar(&f.out, "out", "", "folder for the files (default DIR/reports/INCIDENT)")
	c.Flags().StringVar(&f.settings, "settings", "", "what the clinic says of itself (default DIR/"+reportSettings+", if it is there)")
	c.Flags().StringVar(&f.what, "what", "", "how it came about, if that is known: stolen-session, stolen-device, insider, shared-account, gateway, emergency-abuse")
	c.Flags().StringVar(&f.found, "found", "", "how it was found, in words")
	c.Flags().StringVar(&f.detected, "detected", "", "when it was detected; every deadline counts from there (default: now)")
	c.Flags().StringVar(&f.contained, "contained", "", "when it was contained, if it is")
	c.Flags().StringVar(&f.aware, "aware", "", "when a person took it as certain")
	c.Flags().StringArrayVar(&f.did, "did", nil, "what was done about it: \"INSTANT what\", may be given again")
	c.Flags().StringVar(&f.classes, "classes", "", "a file that says of lines which class their records are, where somebody may know: {\"lin1...\": \"general\"}")
	c.Flags().StringSliceVar(&f.private, "private", nil, "patients to whom nothing may be posted, by handle or act1...")
	c.Flags().StringSliceVar(&f.languages, "languages", report.Languages(), "languages of the letters")
	c.Flags().BoolVar(&f.large, "large", false, "letters in large print")
	c.Flags().BoolVar(&f.drill, "drill", false, "a drill: every page and the signed part say so")
	c.Flags().StringVar(&f.of, "of", "", "in a network that \"abaton drill --keep\" left: which drill (default: the last)")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	c.AddCommand(newReportStatus(e), newReportLetters(e), newReportList(e))
	return c
}

// tellTouched asks, makes the files and says what there is.
func (e *env) tellTouched(ctx context.Context, f *reportFlags) error {
	n, err := e.network()
	if err != nil {
		return err
	}
	end, err := e.ofDrill(ctx, n, f)
	if err != nil {
		return err
	}
	if f.subject == "" || f.since == "" {
		return errors.Join(usage("--subject says whose requests, --since from when"), end())
	}
	return errors.Join(e.tellOf(ctx, n, f), end())
}

// ofDrill takes what a drill's people know from what the drill left, and starts its
// network if that does not run; end ends what was started.
func (e *env) ofDrill(ctx context.Context, n *local.Network, f *reportFlags) (end func() error, err error) {
	end = func() error { return nil }
	left, err := drillIn(n.Dir())
	if left == nil || err != nil {
		return end, err
	}
	if err := f.fill(left); err != nil {
		return end, err
	}
	binaries, err := beside()
	if err != nil {
		return end, err
	}
	ctx, cancel := context.WithTimeout(ctx, startMax)
	defer cancel()
	run, err := n.Start(ctx, binaries)
	if errors.Is(err, local.ErrRunning) {
		return end, nil
	}
	if err != nil {
		return end, err
	}
	return run.Stop, nil
}

// tellOf asks the keepers of a network that runs.
func (e *env) tellOf(ctx context.Context, n *local.Network, f *reportFlags) error {
	d, err := e.asker(f.as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	now := time.Now()
	look, err := d.look(ctx, f, now)
	if err != nil {
		return err
	}
	facts, err := d.facts(ctx, f)
	if err != nil {
		return err
	}
	settings, err := e.reportSettings(f.settings)
	if err != nil {
		return err
	}
	proofs := new(report.Proofs)
	asked := report.Ask(d.Manage.ID(), *look)
	touched, err := d.net.Touched(ctx, asked.Look, proofs.Add)
	if err != nil {
		return err
	}
	w := &reportWriter{device: d, settings: settings, facts: facts, proofs: proofs, asked: &asked, languages: f.languages, large: f.large, say: e.say}
	if w.incident, err = report.NewIncident(touched, proofs, facts, time.Now().Unix()); err != nil {
		return err
	}
	if w.dir = f.out; w.dir == "" {
		w.dir = filepath.Join(e.dir, "reports", w.incident.ID)
	}
	if err := w.write(); err != nil {
		return err
	}
	return e.sayReport(w, f.asJSON)
}

// look is the question that the flags ask.
func (d *device) look(ctx context.Context, f *reportFlags, now time.Time) (*ledger.Look, error) {
	l := &ledger.Look{Organisation: d.Sponsor, Until: now.Add(abaton.ClockSkewMax).Unix()}
	if d.Kind == actor.Organisation {
		l.Organisation = d.ID
	}
	var err error
	if l.Since, err = instant(f.since, now); err != nil {
		return nil, usage("--since: %v", err)
	}
	if f.until != "" {
		if l.Until, err = instant(f.until, now); err != nil {
			return nil, usage("--until: %v", err)
		}
	}
	if l.Since >= l.Until {
		return nil, usage("--until is not after --since")
	}
	switch {
	case f.subject == subjectAll:
	case strings.HasPrefix(f.subject, "ses1"):
		l.Session, err = abaton.ParseSessionID(f.subject)
	case strings.HasPrefix(f.subject, "gra1"):
		l.Grant, err = abaton.ParseGrantID(f.subject)
	default:
		p, e := d.named(ctx, f.subject)
		if e != nil {
			return nil, e
		}
		if p.Kind == actor.Device {
			l.Device = p.ID
		} else {
			l.Person = p.ID
		}
	}
	return l, err
}

// instant is a time as RFC 3339, or a span before now; unix seconds.
func instant(text string, now time.Time) (int64, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.Unix(), nil
	}
	if span, ok := parseSpan(text); ok {
		return now.Add(-span).Unix(), nil
	}
	return 0, errors.New("neither an instant such as 2026-01-31T08:00:00Z nor a span such as 2h")
}

// facts are what the flags state.
func (d *device) facts(ctx context.Context, f *reportFlags) (*report.Facts, error) {
	now := time.Now()
	var err error
	facts := &report.Facts{Drill: f.drill, Vector: report.Vector(f.what), Found: f.found, AwareBy: d.Name}
	if f.what != "" && !facts.Vector.Known() {
		return nil, usage("--what %q is not known", f.what)
	}
	for _, t := range []struct {
		flag, text string
		into       *int64
	}{{"--detected", f.detected, &facts.Detected}, {"--contained", f.contained, &facts.Contained}, {"--aware", f.aware, &facts.Aware}} {
		if t.text == "" {
			continue
		}
		var err error
		if *t.into, err = instant(t.text, now); err != nil {
			return nil, usage("%s: %v", t.flag, err)
		}
	}
	if facts.Aware == 0 {
		facts.AwareBy = ""
	}
	for _, text := range f.did {
		when, what, _ := strings.Cut(text, " ")
		at, err := instant(when, now)
		if err != nil || what == "" {
			return nil, usage("--did is an instant and what was done then")
		}
		facts.Measures = append(facts.Measures, report.Measure{At: at, What: what})
	}
	if facts.Classes, err = readClasses(f.classes); err != nil {
		return nil, err
	}
	for _, who := range f.private {
		p, err := d.named(ctx, who)
		if err != nil {
			return nil, err
		}
		facts.Private = append(facts.Private, p.ID)
	}
	for _, l := range f.languages {
		if !slices.Contains(report.Languages(), l) {
			return nil, usage("--languages: there are %s", strings.Join(report.Languages(), ", "))
		}
	}
	return facts, nil
}

func (e *env) reportSettings(file string) (*report.Settings, error) {
	given := file != ""
	if !given {
		file = filepath.Join(e.dir, reportSettings)
	}
	data, err := os.ReadFile(file)
	if !given && errors.Is(err, fs.ErrNotExist) {
		e.say("No %s: what the clinic says of itself will be listed as missing.", file)
		return new(report.Settings), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return report.ParseSettings(data)
}
