package main

import (
	"github.com/spf13/cobra"
)

// newLedgerCommand checks keepers' ledgers from outside, as anybody may.
func newLedgerCommand(e *env) *cobra.Command {
	return noun("ledger", "Check the keepers' ledgers from outside",
		newLedgerVerifyCommand(e), newLedgerTailCommand(e), newLedgerProveCommand(e))
}

func newLedgerVerifyCommand(e *env) *cobra.Command {
	var f ledgerFlags
	var proof string
	var asJSON bool
	c := &cobra.Command{
		Use: "verify", Short: "Recompute every ledger from its published hashes and compare with what was seen before", Args: cobra.NoArgs,
		Long: "Fetches checkpoint, tiles and entry commitments over the public routes of each keeper, recomputes the root,\n" +
			"checks signatures and the other keepers' cosignatures, and compares with the checkpoint this command saw last.\n" +
			"With --proof it checks a receipt file instead, without asking anybody.",
		Example: "  abaton ledger verify\n  abaton ledger verify --url https://127.0.0.1:20443 --key \"$(cat keeper.vkey)\"\n  abaton ledger verify --proof receipt.tlog-proof",
		RunE: func(c *cobra.Command, _ []string) error {
			if proof != "" {
				return e.verifyProof(&f, proof, asJSON)
			}
			return e.verifyLedgers(c.Context(), &f, asJSON)
		},
	}
	f.add(c)
	c.Flags().StringVar(&proof, "proof", "", "check this tlog-proof file, offline")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func newLedgerTailCommand(e *env) *cobra.Command {
	var f ledgerFlags
	var follow, asJSON bool
	c := &cobra.Command{
		Use: "tail", Short: "Show size, root and cosigners of each ledger, and how they grow", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return e.tailLedgers(c.Context(), &f, follow, asJSON)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&follow, "follow", false, "go on until interrupted, a line for each change")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON Lines")
	return c
}

func newLedgerProveCommand(e *env) *cobra.Command {
	var p proveFlags
	c := &cobra.Command{
		Use: "prove", Short: "Print the receipt of one disclosure of a patient (c2sp.org/tlog-proof)", Args: cobra.NoArgs,
		Long: "Asks one keeper, as the patient, for one disclosure in its ledger, and prints the proof that it is there.\n" +
			"The file can be checked offline: abaton ledger verify --proof FILE",
		Example: "  abaton ledger prove --as PATIENT --keeper 3 --number 0 > receipt.tlog-proof",
		RunE:    func(c *cobra.Command, _ []string) error { return e.prove(c.Context(), &p) },
	}
	c.Flags().StringVar(&p.as, "as", "", "the patient, by handle or name")
	c.Flags().Uint8Var(&p.keeper, "keeper", 1, "which keeper's ledger")
	c.Flags().Int64Var(&p.number, "number", -1, "which of the patient's disclosures there, from 0; -1 is the newest before this question")
	return c
}
