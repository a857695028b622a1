package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/durable"
	"github.com/abaton-health/abaton/internal/feeder"
	"github.com/abaton-health/abaton/internal/hl7"
)

func newIntakeSend(e *env) *cobra.Command {
	var to, state string
	var connections, window int
	var asJSON bool
	c := &cobra.Command{Use: "send FILE...", Short: "Send files of HL7 messages over MLLP, until each is answered", Args: cobra.MinimumNArgs(1),
		Long: `Send files of HL7 version 2 messages over MLLP, until each is answered for
good: what is answered AE, or not at all, is sent again. A message that was
taken in before is not taken in twice. With --state a run that was stopped goes
on where it was.`,
		Example: "  abaton intake send --dir run/demo feed.hl7\n  abaton intake send --to 127.0.0.1:2575 --state feed.state feed.hl7",
		RunE: func(c *cobra.Command, paths []string) error {
			if to == "" {
				n, err := e.network()
				if err != nil {
					return err
				}
				to = n.IntakeAddress()
			}
			messages, err := messagesOf(paths)
			if err != nil {
				return err
			}
			f := &feeding{e: e, state: state, total: len(messages), config: feeder.Config{Address: to, Connections: connections, Window: window}}
			if err := f.resume(); err != nil {
				return err
			}
			err = f.run(c.Context(), func(yield func(int, []byte) bool) {
				for i := f.from; i < len(messages); i++ {
					if !yield(i, messages[i]) {
						return
					}
				}
			})
			return f.report(err, asJSON)
		}}
	c.Flags().StringVar(&to, "to", "", "HOST:PORT of an MLLP listener (default: that of the network in --dir)")
	c.Flags().StringVar(&state, "state", "", "a file that notes how far it came")
	c.Flags().IntVar(&connections, "connections", 1, "how many connections; one patient's messages stay on one")
	c.Flags().IntVar(&window, "window", 1, "how many messages are sent before their answers are read")
	c.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return c
}

// messagesOf reads all messages of files.
func messagesOf(paths []string) (all [][]byte, err error) {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		err = hl7.Messages(f, func(raw []byte) error {
			all = append(all, raw)
			return nil
		})
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
	}
	return all, nil
}

// feeding is a file of messages being sent.
type feeding struct {
	e      *env
	config feeder.Config
	state  string
	total  int
	from   int // messages answered in an earlier run

	mu      sync.Mutex
	done    []bool
	prefix  int // all before it are answered
	shown   time.Time
	began   time.Time
	Filed   int            `json:"filed"`
	Aside   int            `json:"set_aside"`
	Refused int            `json:"refused"`
	Resent  int            `json:"resent"`
	Skipped int            `json:"skipped"` // answered in an earlier run
	Reasons map[string]int `json:"reasons"`
}

func (f *feeding) resume() error {
	if f.state == "" {
		return nil
	}
	text, err := os.ReadFile(f.state)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read state: %w", err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || n < 0 || n > f.total {
		return fmt.Errorf("read state: %s does not belong to these files", f.state)
	}
	f.from, f.prefix, f.Skipped = n, n, n
	return nil
}

func (f *feeding) run(ctx context.Context, messages iter.Seq2[int, []byte]) error {
	f.done, f.began, f.Reasons = make([]bool, f.total), time.Now(), make(map[string]int)
	err := feeder.Send(ctx, f.config, messages, f.answered)
	return errors.Join(err, f.note())
}

// answered counts one answer.
func (f *feeding) answered(n int, a feeder.Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[n] = true
	for f.prefix < f.total && f.done[f.prefix] {
		f.prefix++
	}
	switch {
	case strings.HasSuffix(a.Code, "R"):
		f.Refused++
	case a.Reason != "":
		f.Aside++
	default:
		f.Filed++
	}
	if a.Reason != "" {
		f.Reasons[a.Reason]++
	}
	f.Resent += a.Tries - 1
	if time.Since(f.shown) > time.Second {
		f.shown = time.Now()
		if f.e.live() {
			fmt.Fprintf(f.e.stderr, "\r%d of %d", f.prefix, f.total)
		}
		if err := f.noteLocked(); err != nil {
			f.e.say("state not written: %v", err)
		}
	}
}

func (f *feeding) note() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.noteLocked()
}

func (f *feeding) noteLocked() error {
	if f.state == "" {
		return nil
	}
	return durable.WriteFile(f.state, []byte(strconv.Itoa(f.prefix)+"\n"), 0o600)
}

// report says how it went.
func (f *feeding) report(err error, asJSON bool) error {
	if asJSON {
		return errors.Join(err, f.e.json(f))
	}
	spent := time.Since(f.began)
	rate := float64(f.Filed+f.Aside+f.Refused) / spent.Seconds()
	f.e.print("%d filed, %d set aside, %d refused, %d sent again, %d answered before; %v, %.0f messages/s\n",
		f.Filed, f.Aside, f.Refused, f.Resent, f.Skipped, spent.Round(time.Millisecond), rate)
	for _, reason := range slices.Sorted(maps.Keys(f.Reasons)) {
		f.e.print("  %s: %d\n", reason, f.Reasons[reason])
	}
	return err
}
