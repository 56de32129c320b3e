//! The promises of a carrier to the steps, kept by the folder and by the network of the tests.

use dirsync_carrier::FolderTransit;
use dirsync_testing::MemoryNetwork;
use dirsync_testing::conformance::transit::run;

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
