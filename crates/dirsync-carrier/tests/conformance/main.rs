//! The promises of a carrier to exchanges, and of a transit to the steps, kept by the folder, the network and the lines
//! of the tests.

use dirsync_carrier::FolderTransit;
use dirsync_testing::MemoryNetwork;
use dirsync_testing::conformance::transit::run;

mod folder_carrier;
mod line;

#[test]
fn the_folder_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    run(&|me| Box::new(FolderTransit::new(folder.path(), me.clone())));
}

#[test]
fn the_network_in_memory_keeps_its_promises() {
    let network = MemoryNetwork::default();
    run(&|me| Box::new(network.transit(me)));
}
