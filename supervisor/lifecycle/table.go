package lifecycle

// cell is what one event does in one state. A nil do is the word "ignore",
// written with its reason.
type cell struct {
	name string
	do   func(*turn)
}

func ignore(why string) cell { return cell{name: "ignore: " + why} }

var (
	none    = ignore("there is no such process")
	already = ignore("it is so already")
	ending  = ignore("it is ending already")
	noMore  = ignore("its time is not limited now")
)

// table is total: a test walks states and events.
var table = [stateCount][eventCount]cell{
	Stopped: {
		EventStart: {"start", (*turn).start}, EventStop: {"stay down", (*turn).forget}, EventRestart: {"start", (*turn).start},
		EventSpawned: none, EventSpawnFailed: none, EventAgain: none, EventAgainFailed: none, EventExited: none, EventEmpty: none,
		EventReady: none, EventStopping: none, EventSuspect: none, EventRecovered: none, EventConfirmed: none, EventCaptured: none,
		EventTimer: noMore, EventExtend: noMore, EventGate: ignore("nothing is wanted"),
	},
	Waiting: {
		EventStart: already, EventStop: {"down", (*turn).down}, EventRestart: already,
		EventSpawned: none, EventSpawnFailed: none, EventAgain: none, EventAgainFailed: none, EventExited: none, EventEmpty: none,
		EventReady: none, EventStopping: none, EventSuspect: none, EventRecovered: none, EventConfirmed: none, EventCaptured: none,
		EventTimer: noMore, EventExtend: none, EventGate: {"start, unless it is held", (*turn).release},
	},
	Starting: {
		EventStart: {"want up", (*turn).wantUpAsked}, EventStop: {"stop", (*turn).stop}, EventRestart: {"restart", (*turn).restart},
		EventSpawned: {"spawned", (*turn).spawned}, EventSpawnFailed: {"spawn failed", (*turn).spawnFailed},
		EventAgain: {"again", (*turn).again}, EventAgainFailed: {"again failed", (*turn).againFailed},
		EventExited: {"exited", (*turn).exited}, EventEmpty: {"empty", (*turn).empty}, EventReady: {"ready", (*turn).ready},
		EventStopping: {"announced early", (*turn).announcedEarly}, EventSuspect: ignore("beats are not judged before it is up"),
		EventRecovered: already, EventConfirmed: {"confirmed", (*turn).confirmed}, EventCaptured: none,
		EventTimer: {"start timer", (*turn).startTimer}, EventExtend: {"extend", (*turn).extend}, EventGate: {"order, or withdraw", (*turn).gate},
	},
	Running: {
		EventStart: already, EventStop: {"stop", (*turn).stop}, EventRestart: {"restart", (*turn).restart},
		EventSpawned: already, EventSpawnFailed: already,
		EventAgain: {"again", (*turn).again}, EventAgainFailed: {"again failed", (*turn).againFailed},
		EventExited: {"exited", (*turn).exited}, EventEmpty: {"empty", (*turn).empty}, EventReady: already,
		EventStopping: {"announced stop", (*turn).announced}, EventSuspect: {"suspect", (*turn).suspect}, EventRecovered: already,
		EventConfirmed: {"confirmed", (*turn).confirmed}, EventCaptured: none,
		EventTimer: {"announced stop late, or settle", (*turn).upTimer}, EventExtend: {"extend an announced stop", (*turn).extendAnnounced},
		EventGate: {"order, or withdraw", (*turn).gate},
	},
	Suspect: {
		EventStart: already, EventStop: {"stop", (*turn).stop}, EventRestart: {"restart", (*turn).restart},
		EventSpawned: already, EventSpawnFailed: already,
		EventAgain: {"again", (*turn).again}, EventAgainFailed: {"again failed", (*turn).againFailed},
		EventExited: {"exited", (*turn).exited}, EventEmpty: {"empty", (*turn).empty}, EventReady: {"recovered", (*turn).recovered},
		EventStopping: {"announced stop", (*turn).announced}, EventSuspect: already, EventRecovered: {"recovered", (*turn).recovered},
		EventConfirmed: {"confirmed", (*turn).confirmed}, EventCaptured: none,
		EventTimer: {"announced stop late, or settle", (*turn).upTimer}, EventExtend: {"extend an announced stop", (*turn).extendAnnounced},
		EventGate: {"order, or withdraw", (*turn).gate},
	},
	Freezing: {
		EventStart: {"restart later", (*turn).restartLater}, EventStop: {"stop later", (*turn).stopLater}, EventRestart: {"restart later", (*turn).restartLater},
		EventSpawned: already, EventSpawnFailed: already,
		EventAgain: {"again, late", (*turn).again}, EventAgainFailed: {"again failed", (*turn).againFailed},
		EventExited: {"exited", (*turn).exited}, EventEmpty: {"empty", (*turn).empty}, EventReady: ending, EventStopping: ending,
		EventSuspect: ending, EventRecovered: ending, EventConfirmed: ending,
		EventCaptured: {"captured", (*turn).captured}, EventTimer: {"capture late", (*turn).captureLate}, EventExtend: ending, EventGate: ignore("the next start looks"),
	},
	Stopping: {
		EventStart: {"restart later", (*turn).restartLater}, EventStop: {"stop later", (*turn).stopLater}, EventRestart: {"restart later", (*turn).restartLater},
		EventSpawned: already, EventSpawnFailed: already,
		EventAgain: {"again, late", (*turn).again}, EventAgainFailed: {"again failed", (*turn).againFailed},
		EventExited: {"exited", (*turn).exited}, EventEmpty: {"empty", (*turn).empty}, EventReady: ending, EventStopping: ending,
		EventSuspect: ending, EventRecovered: ending, EventConfirmed: ending, EventCaptured: already,
		EventTimer: {"kill", (*turn).kill}, EventExtend: {"extend", (*turn).extend}, EventGate: ignore("the next start looks"),
	},
	Backoff: {
		EventStart: {"start", (*turn).start}, EventStop: {"down", (*turn).down}, EventRestart: {"start", (*turn).start},
		EventSpawned: none, EventSpawnFailed: none, EventAgain: none, EventAgainFailed: none, EventExited: none, EventEmpty: none,
		EventReady: none, EventStopping: none, EventSuspect: none, EventRecovered: none, EventConfirmed: none, EventCaptured: none,
		EventTimer: {"retry", (*turn).retry}, EventExtend: none, EventGate: ignore("the next start looks"),
	},
	Failed: {
		EventStart: {"start", (*turn).start}, EventStop: {"down", (*turn).down}, EventRestart: {"start", (*turn).start},
		EventSpawned: none, EventSpawnFailed: none, EventAgain: none, EventAgainFailed: none, EventExited: none, EventEmpty: none,
		EventReady: none, EventStopping: none, EventSuspect: none, EventRecovered: none, EventConfirmed: none, EventCaptured: none,
		EventTimer: noMore, EventExtend: noMore, EventGate: ignore("nothing is wanted"),
	},
}
