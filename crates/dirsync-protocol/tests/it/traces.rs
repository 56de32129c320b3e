use crate::world::World;
#[test]
fn t_range() {
    let mut world = World::new("A");
    world.run("A1 +a1; A1 -a1");
    world.settle();
}
