package abaton

import (
	"slices"
	"time"
)

// The roles that a member of an organisation can have, as plain words. Version
// 1 knows no other, and an event that names another is malformed.
const (
	RolePhysician       = "physician"
	RoleNurse           = "nurse"
	RoleAssistant       = "assistant"
	RolePharmacist      = "pharmacist"
	RoleTherapist       = "therapist"
	RoleEmergency       = "emergency"        // works where emergencies come in
	RoleLocum           = "locum"            // lent by an agency
	RoleRecords         = "records"          // the records office: imports, corrections
	RoleSecurityOfficer = "security-officer" // reads no record
	RoleAdministrator   = "administrator"    // reads no record
	RoleAgent           = "agent"            // a program for one task
	RoleApp             = "app"              // a program a person chose
	RoleIntake          = "intake"           // files what other systems send
	RoleBatch           = "batch"            // a program that runs for long
	RoleDevice          = "device"           // a connected device
)

// Role is what version 1 fixes about one role; an organisation cannot tune it.
type Role struct {
	Name string
	// Reads: may open records at all. Who runs the place may not.
	Reads bool
	// Human: a person may have it. Any other is a program's or a device's.
	Human bool
	// GrantLifeMax bounds a grant to read under which an agent asks in this
	// role; zero lets no agent ask in it.
	GrantLifeMax time.Duration
}

const agentTask = 24 * time.Hour

// Roles lists the roles of version 1, by name.
func Roles() []Role {
	return []Role{
		{Name: RoleAdministrator, Human: true},
		{Name: RoleAgent, Reads: true, GrantLifeMax: agentTask},
		{Name: RoleApp, Reads: true, GrantLifeMax: GrantLifeMax},
		{Name: RoleAssistant, Reads: true, Human: true},
		{Name: RoleBatch, Reads: true, GrantLifeMax: GrantLifeMax},
		{Name: RoleDevice, Reads: true, GrantLifeMax: agentTask},
		{Name: RoleEmergency, Reads: true, Human: true},
		{Name: RoleIntake, Reads: true, GrantLifeMax: GrantLifeMax},
		{Name: RoleLocum, Reads: true, Human: true},
		{Name: RoleNurse, Reads: true, Human: true},
		{Name: RolePharmacist, Reads: true, Human: true},
		{Name: RolePhysician, Reads: true, Human: true},
		{Name: RoleRecords, Reads: true, Human: true},
		{Name: RoleSecurityOfficer, Human: true},
		{Name: RoleTherapist, Reads: true, Human: true},
	}
}

// RoleOf is the role of that name; false when version 1 knows none, and the
// zero Role may do nothing.
func RoleOf(name string) (Role, bool) {
	all := Roles()
	i, ok := slices.BinarySearchFunc(all, name, func(r Role, name string) int {
		switch {
		case r.Name < name:
			return -1
		case r.Name > name:
			return 1
		}
		return 0
	})
	if !ok {
		return Role{}, false
	}
	return all[i], true
}
