package main

import (
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

const examples = `  abaton up --dir run/demo                         a network on this machine, with sample patients
  abaton login --dir run/demo --as dr-anna         sign in, for curl and other FHIR clients
  abaton access list --dir run/demo --as PATIENT   who looked`

// newRootCommand is the tree: noun, then verb.
func newRootCommand(e *env) *cobra.Command {
	root := &cobra.Command{
		Use: "abaton", Short: "Health records in which a break-in finds nothing to read", Example: examples,
		SilenceErrors: true, SilenceUsage: true, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage("%v", err) })
	dir := os.Getenv(dirVariable)
	if dir == "" {
		dir = dirDefault
	}
	root.PersistentFlags().StringVar(&e.dir, "dir", dir, "the network's folder ($"+dirVariable+")")
	root.PersistentFlags().StringVar(&e.keys, "keys", "", "another folder with the keys of --as, kept apart: see private")
	root.AddCommand(commands(e)...)
	wrapArgs(root)
	return root
}

// commands are the nouns.
func commands(e *env) []*cobra.Command {
	return []*cobra.Command{
		newUpCommand(e),
		newImportCommand(e),
		newReconcileCommand(e),
		newIntakeCommand(e),
		newInviteCommand(e),
		newLoginCommand(e),
		newGrantCommand(e),
		newPrivateCommand(e),
		newGuardianCommand(e),
		newMandateCommand(e),
		newRegistrarCommand(e),
		newStaffCommand(e),
		newTeamCommand(e),
		newRelationCommand(e),
		newHoneyCommand(e),
		newDutyCommand(e),
		newDeviceCommand(e),
		newBlastCommand(e),
		newRelockCommand(e),
		newRecoverCommand(e),
		newEmergencyCommand(e),
		newCustodyCommand(e),
		newAppCommand(e),
		newServiceCommand(e),
		newAccessCommand(e),
		newRecordCommand(e),
		newPatientCommand(e),
		newErasureCommand(e),
		newDutyCopyCommand(e),
		newObjectCommand(e),
		newInspectCommand(e),
		newDemoCommand(e),
		newDrillCommand(e),
		newLedgerCommand(e),
		newReportCommand(e),
		newVerifyCommand(e),
		newPolicyCommand(e),
		newWatchCommand(e),
		newKeeperCommand(e),
		newBenchCommand(e),
		newVersionCommand(e),
	}
}

// noun is a command that only groups verbs.
func noun(name, short string, verbs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, RunE: func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usage("%s has no verb %q", name, args[0])
		}
		return c.Help()
	}}
	c.AddCommand(verbs...)
	return c
}

// wrapArgs makes wrong arguments and missing flags errors of usage.
func wrapArgs(c *cobra.Command) {
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if check != nil {
			if err := check(c, args); err != nil {
				return usage("%v", err)
			}
		}
		if err := c.ValidateRequiredFlags(); err != nil {
			return usage("%v", err)
		}
		return nil
	}
	for _, sub := range c.Commands() {
		wrapArgs(sub)
	}
}

func newVersionCommand(e *env) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, Run: func(*cobra.Command, []string) {
		e.print("abaton %s, protocol 1, %s\n", release, runtime.Version())
	}}
}
