package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// listing makes a command that lists what concerns the patient of --as: a line
// each under a head, or, with --json, what shown makes of them all.
func listing[T any](e *env, c *cobra.Command, head string, all func(*device, context.Context, time.Time) ([]T, error), shown func([]T) any, line func(T) string) *cobra.Command {
	var as string
	var asJSON bool
	c.Args = cobra.NoArgs
	c.RunE = func(c *cobra.Command, _ []string) error {
		d, err := e.device(as)
		if err != nil {
			return err
		}
		defer d.hangUp()
		list, err := all(d, c.Context(), time.Now())
		if err != nil {
			return err
		}
		if asJSON {
			return e.json(shown(list))
		}
		t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, head)
		for _, one := range list {
			fmt.Fprintln(t, line(one))
		}
		return t.Flush()
	}
	c.Flags().StringVar(&as, "as", "", "the patient")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	return c
}
