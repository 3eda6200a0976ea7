package deps

import (
	_ "github.com/coreos/go-systemd/v22/daemon"
	_ "github.com/fsnotify/fsnotify"
	_ "github.com/go-delve/delve/pkg/goversion"
	_ "github.com/go-delve/delve/pkg/logflags"
	_ "github.com/go-delve/delve/pkg/proc"
	_ "github.com/go-delve/delve/pkg/proc/core"
	_ "github.com/go-delve/delve/service/api"
	_ "github.com/go-zookeeper/zk"
	_ "github.com/klauspost/compress/zstd"
	_ "github.com/pelletier/go-toml/v2"
	_ "github.com/prometheus/procfs"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/spf13/cobra"
	_ "go.uber.org/goleak"
	_ "go.uber.org/zap"
	_ "golang.org/x/sys/unix"
	_ "pgregory.net/rapid"
)
