//! Cutting a server off from its peers while clients still reach it.

/// The links between the servers.
#[derive(Debug)]
pub(crate) struct PeerLinks;

impl PeerLinks {
    pub(crate) fn new(_ports: Vec<[u16; 2]>) -> Self {
        unimplemented!()
    }
    pub(crate) fn java_arguments(&self, _index: usize) -> Vec<String> {
        unimplemented!()
    }
    pub(crate) fn isolate(&self, _index: usize) {}
    pub(crate) fn heal(&self, _index: usize) {}
}
