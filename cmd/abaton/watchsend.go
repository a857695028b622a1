package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton"
	"github.com/abaton-health/abaton/actor"
	"github.com/abaton-health/abaton/client"
	"github.com/abaton-health/abaton/internal/alert"
	"github.com/abaton-health/abaton/internal/contain"
	"github.com/abaton-health/abaton/internal/courier"
	"github.com/abaton-health/abaton/internal/detect"
)

// sendFlags say what watch send does.
type sendFlags struct {
	as, config          string
	once, check, asJSON bool
}

func newWatchSend(e *env) *cobra.Command {
	var f sendFlags
	c := &cobra.Command{Use: "send", Short: "Send alerts to the clinic's own systems: webhooks, syslog, e-mail", Args: cobra.NoArgs,
		Long: `Asks the keepers every few seconds whom they hold back and what they found, and
sends what opened, rose or ended to the targets of a configuration file, until each
took it or three days are over. No alert has a patient, a record or a name in it.
What was sent is remembered in a file, so that it can be stopped and started.

Run it with the device of a security officer, on a machine that others watch:
a receiver that hears no heartbeat for two hours raises the alarm itself.`,
		Example: "  abaton watch send --as officer-ines --config alerts.json --check\n  abaton watch send --as officer-ines --config alerts.json",
		RunE: func(c *cobra.Command, _ []string) error {
			if f.once && f.check {
				return usage("--once and --check are two things")
			}
			return e.sendAlerts(c.Context(), &f)
		}}
	c.Flags().StringVar(&f.as, "as", "", "a security officer")
	c.Flags().StringVar(&f.config, "config", "", "where alerts go")
	c.Flags().BoolVar(&f.once, "once", false, "one look, one try each, then end")
	c.Flags().BoolVar(&f.check, "check", false, "send each target a test alert, then end")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("config")
	return c
}

func (e *env) sendAlerts(ctx context.Context, f *sendFlags) error {
	config, err := courier.ReadConfig(f.config)
	if err != nil {
		return err
	}
	d, err := e.device(f.as)
	if err != nil {
		return err
	}
	defer d.hangUp()
	organisation := d.Sponsor
	if d.Kind == actor.Organisation {
		organisation = d.ID
	}
	var log slog.Handler = slog.NewTextHandler(e.stderr, nil)
	if f.asJSON {
		log = slog.NewJSONHandler(e.stderr, nil)
	}
	c, err := courier.New(courier.Settings{Config: config, Organisation: organisation, Log: slog.New(log),
		Ask: func(ctx context.Context) (alert.Look, error) { return d.alertLook(ctx, organisation) }})
	if err != nil {
		return err
	}
	defer c.Close()
	switch {
	case f.check:
		return e.saySent(c.Check(ctx), f.asJSON)
	case f.once:
		results, asked := c.Once(ctx)
		return errors.Join(asked, e.saySent(results, f.asJSON))
	}
	e.say("Sending alerts to %d targets; Ctrl-C ends it.", len(config.Targets))
	return c.Run(ctx)
}

func (e *env) saySent(results []courier.Result, asJSON bool) error {
	failed := slices.ContainsFunc(results, func(r courier.Result) bool { return r.Fault != "" })
	if asJSON {
		if err := e.json(struct {
			V       int              `json:"v"`
			Targets []courier.Result `json:"targets"`
		}{1, results}); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			e.print("%s: sent %d, waiting %d %s\n", r.Target, r.Sent, r.Waiting, r.Fault)
		}
	}
	if failed {
		return errFailed
	}
	return nil
}

// alertLook asks all keepers once. The organisation's key log is read only where
// somebody's standing is asked for.
func (d *device) alertLook(ctx context.Context, organisation abaton.ActorID) (alert.Look, error) {
	answers, err := d.net.HeldAnswers(ctx, organisation)
	log := sync.OnceValue(func() *actor.State {
		d.net.Refresh(organisation)
		s, err := d.net.Log(ctx, organisation)
		if err != nil {
			return nil
		}
		return s
	})
	l := alert.Look{Organisation: organisation, Now: time.Now().Unix(),
		Lifted: func(v [32]byte) bool { s := log(); return s != nil && s.Lifted(v) },
		Staff: func(who abaton.ActorID) bool {
			s := log()
			return s != nil && slices.ContainsFunc(s.Members(), func(m *actor.Member) bool { return m.Actor == who })
		}}
	for i := range d.at.Set().Keepers {
		l.Keepers = append(l.Keepers, d.at.Set().Keepers[i].X)
	}
	for _, a := range answers {
		l.Answers = append(l.Answers, heardFrom(a))
	}
	return l, err
}

func heardFrom(a client.HeldAnswer) alert.Answer {
	out := alert.Answer{Keeper: a.Keeper, Found: make(map[abaton.Reason]uint64)}
	for _, h := range a.Held {
		out.Held = append(out.Held, alert.Holding{Kind: contain.Kind(h.Kind), Subject: h.Subject, Level: detect.Level(h.Level), Rules: detect.Rules(h.Rules),
			By: h.By, Proof: h.Proof, Since: int64(min(h.Since, 1<<40)), Until: int64(min(h.Until, 1<<40)), Verdicts: h.Verdicts})
	}
	for _, f := range a.Found {
		out.Found[f.Reason] = f.Count
	}
	return out
}
