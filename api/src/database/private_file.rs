//! Files that hold what the database holds: they are their owner's alone.

use std::fs::OpenOptions;

/// How such a file is made, whatever the umask says; one that is there already stays as it is.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
