package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/abaton-health/abaton/internal/fhir"
	"github.com/abaton-health/abaton/internal/people"
)

func newPatientCommand(e *env) *cobra.Command {
	return noun("patient", "Charts that are one person's, and records that are another's", newPatientMerge(e), newPatientUnmerge(e), newPatientRefile(e))
}

func newPatientMerge(e *env) *cobra.Command {
	return pairing(e, &cobra.Command{Use: "merge PATIENT", Short: "Say that two charts are of one person: both are read side by side",
		Long: `Say that two charts are of one person. Both are read side by side from then on by
whoever was given both; nothing is moved, copied or given, and unmerge ends it.
The ids are those of the FHIR Patients.`,
		Example: "  abaton patient merge bw32w7qi-... --into qyx5hm3c-... --as dr-anna"}, "merge", "One person now")
}

func newPatientUnmerge(e *env) *cobra.Command {
	return pairing(e, &cobra.Command{Use: "unmerge PATIENT", Short: "End that: both charts stand alone, and a flag in each tells its readers",
		Example: "  abaton patient unmerge bw32w7qi-... --into qyx5hm3c-... --as dr-anna"}, "unmerge", "Two people again")
}

// pairing is a verb about two Patients.
func pairing(e *env, c *cobra.Command, operation, done string) *cobra.Command {
	var as, into string
	var asJSON bool
	c.Args = cobra.ExactArgs(1)
	c.RunE = func(c *cobra.Command, args []string) error {
		from := strings.TrimPrefix(args[0], "Patient/")
		into := strings.TrimPrefix(into, "Patient/")
		if !fhir.IsID(from) || !fhir.IsID(into) {
			return usage("name two Patients by their FHIR ids")
		}
		s, err := e.kept(as)
		if err != nil {
			return err
		}
		body := fmt.Sprintf(`{"resourceType":"Parameters","parameter":[{"name":"source-patient","valueReference":{"reference":"Patient/%s"}},`+
			`{"name":"target-patient","valueReference":{"reference":"Patient/%s"}}]}`, from, into)
		status, answer, _, err := ask(c.Context(), s, http.MethodPost, "/Patient/$"+operation, []byte(body))
		if err != nil {
			return err
		}
		linkage, says, err := readPairing(answer)
		if err != nil {
			return err
		}
		if status == http.StatusAccepted {
			done = "Accepted, not yet durable"
		}
		e.say("%s (%s): %s.", done, linkage, says)
		if asJSON {
			return e.json(struct {
				V       int    `json:"v"`
				Did     string `json:"did"`
				From    string `json:"from"`
				Into    string `json:"into"`
				Linkage string `json:"linkage"`
				Durable bool   `json:"durable"`
			}{1, operation, from, into, linkage, status != http.StatusAccepted})
		}
		return nil
	}
	c.Flags().StringVar(&as, "as", "", "who does it: somebody who is signed in and was given both charts")
	c.Flags().StringVar(&into, "into", "", "the Patient that stays")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.MarkFlagRequired("as")
	c.MarkFlagRequired("into")
	return c
}

func readPairing(answer []byte) (linkage, says string, err error) {
	var p struct {
		Parameter []struct {
			Name     string
			Resource struct {
				Issue []struct{ Diagnostics string }
			}
			ValueReference struct{ Reference string }
		}
	}
	if err := json.Unmarshal(answer, &p); err != nil {
		return "", "", fmt.Errorf("ask gateway: the answer is not the JSON that was expected")
	}
	for _, one := range p.Parameter {
		switch {
		case one.Name == "linkage":
			linkage = one.ValueReference.Reference
		case one.Name == "outcome" && len(one.Resource.Issue) > 0:
			says = one.Resource.Issue[0].Diagnostics
		}
	}
	return linkage, says, nil
}

// kept is the session that abaton login left.
func (e *env) kept(as string) (*people.Session, error) {
	n, err := e.network()
	if err != nil {
		return nil, err
	}
	p, err := n.People().Find(as)
	if err != nil {
		return nil, err
	}
	return n.People().Kept(p.Handle, n.GatewayURL())
}

// ask sends one request of FHIR; a refusal is an error.
func ask(ctx context.Context, s *people.Session, method, path string, body []byte) (status int, answer []byte, etag string, err error) {
	r, err := s.Request(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, "", fmt.Errorf("ask gateway: %w", err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, responseMax)); err != nil {
		return 0, nil, "", fmt.Errorf("ask gateway: %w", err)
	}
	if resp.StatusCode >= 300 {
		return resp.StatusCode, nil, "", people.Refusal(resp.StatusCode, answer)
	}
	return resp.StatusCode, answer, resp.Header.Get("ETag"), nil
}
