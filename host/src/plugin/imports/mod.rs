pub(crate) mod commands { pub struct Process; }
pub(crate) mod seal { pub struct Key; pub struct Staged; }
