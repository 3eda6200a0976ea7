package spawn

import "strconv"

// Stage is a step on the way to a running program. Names are stable: they go
// into logs and incidents.
type Stage int

// The stages in the order in which they happen. All but the first two happen
// in the child.
const (
	StagePrepare    Stage = iota // descriptors and memory in the caller
	StageClone                   // clone3 or clone
	StageCgroup                  // CLONE_INTO_CGROUP or cgroup.procs
	StageSignals                 // dispositions to SIG_DFL
	StageSession                 // setsid
	StageUmask                   // umask
	StageNice                    // setpriority
	StageOOM                     // /proc/self/oom_score_adj
	StageStdio                   // descriptors 0, 1, 2
	StageExtra                   // descriptors 3 and on
	StageCloseRange              // everything above becomes close-on-exec
	StageRlimit                  // prlimit64
	StageBounding                // prctl
	StageGroups                  // setgroups
	StageGID                     // setresgid
	StageUID                     // setresuid
	StageNoNewPrivs              // prctl
	StageChdir                   // chdir
	StagePID                     // the pid in the environment
	StageMask                    // empty signal mask
	StageExec                    // execve
	stageCount
)

// stageTexts holds the stable name and what an error says before the object.
var stageTexts = [stageCount]struct{ name, cannot string }{
	StagePrepare:    {"prepare", "prepare"},
	StageClone:      {"clone", "create a process for"},
	StageCgroup:     {"cgroup", "enter"},
	StageSignals:    {"signals", "reset"},
	StageSession:    {"session", "create"},
	StageUmask:      {"umask", "set"},
	StageNice:       {"nice", "set"},
	StageOOM:        {"oom-score-adj", "set"},
	StageStdio:      {"stdio", "connect"},
	StageExtra:      {"extra-descriptors", "pass"},
	StageCloseRange: {"close-range", "keep back"},
	StageRlimit:     {"rlimit", "set"},
	StageBounding:   {"bounding-set", "drop"},
	StageGroups:     {"groups", "set"},
	StageGID:        {"gid", "change to"},
	StageUID:        {"uid", "change to"},
	StageNoNewPrivs: {"no-new-privs", "set"},
	StageChdir:      {"chdir", "chdir to"},
	StagePID:        {"pid", "write"},
	StageMask:       {"mask", "empty"},
	StageExec:       {"exec", "execute"},
}

// String returns the stable name, such as "chdir".
func (s Stage) String() string {
	if s < 0 || s >= stageCount {
		return "stage-" + strconv.Itoa(int(s))
	}
	return stageTexts[s].name
}

// cannot returns the verb of the sentence "cannot <verb> <object>".
func (s Stage) cannot() string {
	if s < 0 || s >= stageCount {
		return "pass " + s.String() + " of"
	}
	return stageTexts[s].cannot
}
